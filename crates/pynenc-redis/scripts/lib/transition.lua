-- A transition that the client has decided on: the id, the state that the client saw, the new state, the controls, and
-- the tail of the log. The controls are whether a cancel request was seen, the kind of the due time, the due time, whether
-- the invocation has to be due already, and the hint: 0 for none, 1 for the one that follows, 2 for the invocation's own.

-- Whether an entry of this kind is as the client saw it.
local function is_as_seen(kind, seen, controls)
  return kind.state == seen and kind.flags % 2 == byte(controls)
end

-- The reply from which the client decides anew.
local function not_as_seen(raw)
  return raw and 'S' .. sub(raw, 1, T.header) or 'M'
end

local function push_hint_of(id, raw, group, kind, controls, time)
  if not group.queued then return end
  if kind == 2 then return push_own_hint(id, raw, group.reg, time) end
  local priority, not_before = parse('>I2I6', controls, 11)
  push_hint(group.reg.queue, id, priority, math.max(due_of(raw), not_before), time)
end

-- Makes a transition. Gives 'D', followed by the invocations that were handed a slot, or why not.
local function make_transition(id, seen, state, controls, tail, time)
  local raw = entry(id)
  local kind = raw and kind_of(raw)
  if not raw or not is_as_seen(kind, seen, controls) then return not_as_seen(raw) end
  local due_kind, must_be_due, hint = byte(controls, 2), byte(controls, 9, 10)
  if must_be_due == 1 and kind.due > time then return 'N' end
  if due_kind > 0 then
    local due = math.max(due_at(due_kind, parse('>I6', controls, 3), time), 1)
    state = sub(state, 1, F.due - F.status) .. pack('>I6', due) .. sub(state, L.due - F.status + 2)
  end
  local new, group = change_state(id, raw, kind, state, tail, time)
  if hint > 0 then push_hint_of(id, new, group, hint, controls, time) end
  if group.reg.when_blocked == 0 then return 'D' end
  return reply_with('D', free_slot(id, new, group.reg, time))
end
