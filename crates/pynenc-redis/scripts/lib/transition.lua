-- Makes one transition. Gives the reply, and the invocations that were handed a slot if the transition was made.
local function transition_uncached(item, time)
  local id, version, epoch, to, by, runner, reason, due_kind, due, has_detail, rest =
    parse('>c16I4I4BBc16BBI6B', item)
  local e = read_entry(id)
  if not e then return refusal_reply('M', 0, 0) end
  -- A claim takes a slot too, so a plain transition can't replace it.
  if by == A.claimer and to ~= S.failed and to ~= S.cancelled then return refusal_reply('W', e[E.status], 0) end
  local code, first, second = evaluate(e, version, epoch, to, by, runner, reason, due_kind > 0, time)
  if code == 'A' then return 'A' .. header_of(e) end
  if code then return refusal_reply(code, first, second) end
  local detail, handed = has_detail == 1 and sub(item, rest) or nil, {}
  local at = due_kind > 0 and math.max(due_at(due_kind, due, time), 1) or 0
  change_status_and_free_slot(id, e, to, by, runner, at, reason, detail, handed, time)
  return 'D' .. header_of(e), handed
end

-- Where an item has the kind of its due time, and whether it has a detail.
local DUE_KIND, HAS_DETAIL = 44, 51
local NONE_HANDED = {}

local function make_transition(item, time)
  local id = sub(item, 1, 16)
  local raw = byte(item, DUE_KIND) == 0 and byte(item, HAS_DETAIL) == 0 and raw_entry(id)
  local state = raw and state_of(raw)
  if not state then return transition_uncached(item, time) end
  local request = sub(item, 17)
  local cached = cached_transition(request, state)
  if cached then
    local token = sub(raw, 60, REGISTRATION - 1)
    return 'D' .. repeat_transition(cached, id, raw, token, time) .. token, NONE_HANDED
  end
  local reply, handed = transition_uncached(item, time)
  remember_transition(request, state, id, raw)
  return reply, handed
end
