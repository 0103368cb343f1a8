-- A transition that the client has decided on. It is the id, the version, the epoch, the owner and the cancel request that
-- the client saw, the kind of the due time and the due time, whether the invocation has to be due already, the parts of
-- the line for the log, the new state, and the rest of the line.

-- Gives nil if the entry is as the client saw it, and else the header, from which the client decides anew.
local function why_not_as_seen(item)
  local raw = entry(sub(item, 1, 16))
  if not raw then return 'M' end
  local is_as_seen = sub(raw, F.version, L.epoch) == sub(item, 17, 24)
    and sub(raw, F.owner, L.owner) == sub(item, 25, 40)
    and bit.band(byte(raw, F.flags), CANCEL_REQUESTED) == byte(item, 41)
  return not is_as_seen and 'S' .. sub(raw, 1, T.header) or nil
end

-- Makes a transition. Gives 'D', the invocations that were handed a slot, the new entry and its registration; or why not.
local function make_transition(item, outcome, time)
  local id, refusal = sub(item, 1, 16), why_not_as_seen(item)
  if refusal then return refusal end
  local raw = entry(id)
  local due_kind, must_be_due, parts = byte(item, 42), byte(item, 49), byte(item, 50)
  if must_be_due == 1 and due_of(raw) > time then return 'N' end
  local state = sub(item, 51, 50 + T.state)
  if due_kind > 0 then
    local due = math.max(due_at(due_kind, parse('>I6', item, 43), time), 1)
    state = sub(state, 1, F.due - F.status) .. pack('>I6', due) .. sub(state, L.due - F.status + 2)
  end
  local handed = {}
  local new, reg = change_state(id, raw, state, parts, sub(item, 51 + T.state), outcome, time)
  free_slot(id, new, reg, handed, time)
  return 'D', handed, new, reg
end
