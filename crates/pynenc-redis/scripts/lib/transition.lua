-- Makes one transition. Gives the answer, and who was handed a slot if it was made.
local function transition_anew(item, time)
  local id, version, epoch, to, by, runner, reason, due_kind, due, has_detail, rest =
    parse('>c16I4I4BBc16BBI6B', item)
  local e = read(id)
  if not e then return refused('M', 0, 0) end
  -- A claim takes a slot with the invocation, so no transition may stand for one.
  if by == A.claimer and to ~= S.failed and to ~= S.cancelled then return refused('W', e[E.status], 0) end
  local code, one, other = judged(e, version, epoch, to, by, runner, reason, due_kind > 0, time)
  if code == 'A' then return 'A' .. written(e) end
  if code then return refused(code, one, other) end
  local detail, handed = has_detail == 1 and sub(item, rest) or nil, {}
  local at = due_kind > 0 and math.max(due_at(due_kind, due, time), 1) or 0
  enter_and_free(id, e, to, by, runner, at, reason, detail, handed, time)
  return 'D' .. written(e), handed
end

local HAS_DUE, HAS_DETAIL = 44, 51
local NOBODY = {}

local function transition(item, time)
  local id = sub(item, 1, 16)
  local raw = byte(item, HAS_DUE) == 0 and byte(item, HAS_DETAIL) == 0 and text(id)
  local like = raw and likeness(raw)
  if not like then return transition_anew(item, time) end
  local asked = sub(item, 17)
  local step = known_step(asked, like)
  if step then
    local token = sub(raw, 60, FACTS - 1)
    return 'D' .. step_again(step, id, raw, token, time) .. token, NOBODY
  end
  local reply, handed = transition_anew(item, time)
  remember(asked, like, id, raw)
  return reply, handed
end
