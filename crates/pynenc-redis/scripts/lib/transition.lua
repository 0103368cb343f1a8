-- A transition that the client has decided on: the id, the state that the client saw, the new state, the controls, and
-- the tail of the log. The controls are whether a cancel request was seen, the kind of the due time, the due time, whether
-- the invocation has to be due already, and the hint: 0 for none, 1 for the one that follows, 2 for the invocation's own.

local parsed_controls = {}

local function controls_of(text)
  local controls = parsed_controls[text]
  if not controls then
    local is_requested, due_kind, due, must_be_due, hint, rest = parse('>BBI6BB', text)
    controls = {is_requested = is_requested, due_kind = due_kind, due = due, must_be_due = must_be_due, hint = hint}
    if hint == 1 then controls.priority, controls.not_before = parse('>I2I6', text, rest) end
    parsed_controls[text] = controls
  end
  return controls
end

-- Whether an entry of this kind is as the client saw it.
local function is_as_seen(kind, seen, is_requested)
  return kind.state == seen and kind.flags % 2 == is_requested
end

-- The reply from which the client decides anew.
local function not_as_seen(raw)
  return raw and 'S' .. start_of(raw) or 'M'
end

local function push_hint_of(id, raw, group, controls, time)
  if not group.queued then return end
  if controls.hint == 2 then return push_own_hint(id, raw, group.reg, time) end
  push_hint(group.reg.queue, id, controls.priority, math.max(due_of(raw), controls.not_before), time)
end

-- Makes a transition. Gives 'D', followed by the invocations that were handed a slot, or why not.
local function make_transition(id, seen, state, controls_text, tail, time)
  local raw, controls = stored_entry(id), controls_of(controls_text)
  local kind = raw and kind_of(raw)
  if not raw or not is_as_seen(kind, seen, controls.is_requested) then return not_as_seen(raw) end
  if controls.must_be_due == 1 and kind.due > time then return 'N' end
  if controls.due_kind > 0 then
    local due = math.max(due_at(controls.due_kind, controls.due, time), 1)
    state = sub(state, 1, F.due - F.status) .. pack('>I6', due) .. sub(state, L.due - F.status + 2)
  end
  local new, group = change_state(id, raw, kind, state, tail, time)
  if controls.hint > 0 then push_hint_of(id, new, group, controls, time) end
  if group.reg.when_blocked == 0 then return 'D' end
  local handed = free_slot(id, new, group.reg, time)
  return #handed > 0 and reply_with('D', handed) or 'D'
end
