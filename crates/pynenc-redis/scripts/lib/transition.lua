-- A transition that the client has decided on: the id, the state that the client saw, the new state, the controls, and
-- the tail of the log. The controls are whether a cancel request was seen, the kind of the due time, the due time, whether
-- the invocation has to be due already, and the hint: 0 for none, 1 for the one that follows, 2 for the invocation's own.

-- Gives nil if the entry is as the client saw it, and else the header, from which the client decides anew.
local function why_not_as_seen(id, seen, controls)
  local raw = entry(id)
  if not raw then return 'M' end
  if sub(raw, F.status, L.owner) == seen and bit.band(byte(raw, F.flags), CANCEL_REQUESTED) == byte(controls) then
    return nil
  end
  return 'S' .. sub(raw, 1, T.header)
end

local function push_hint_of(id, raw, reg, controls, time)
  local kind = byte(controls, 10)
  if kind == 2 then push_own_hint(id, raw, reg, time) end
  if kind ~= 1 or not is_queued(raw) then return end
  local priority, not_before = parse('>I2I6', controls, 11)
  push_hint(reg.queue, id, priority, math.max(due_of(raw), not_before), time)
end

-- Makes a transition. Gives 'D', followed by the invocations that were handed a slot, or why not.
local function make_transition(id, seen, state, controls, tail, time)
  local refusal = why_not_as_seen(id, seen, controls)
  if refusal then return refusal end
  local raw = entry(id)
  local due_kind, must_be_due = byte(controls, 2), byte(controls, 9)
  if must_be_due == 1 and due_of(raw) > time then return 'N' end
  if due_kind > 0 then
    local due = math.max(due_at(due_kind, parse('>I6', controls, 3), time), 1)
    state = sub(state, 1, F.due - F.status) .. pack('>I6', due) .. sub(state, L.due - F.status + 2)
  end
  local new, reg = change_state(id, raw, state, tail, time)
  push_hint_of(id, new, reg, controls, time)
  if reg.when_blocked == 0 then return 'D' end
  return reply_with('D', free_slot(id, new, reg, time))
end
