local GONE, BUSY = 0, 1
-- The tasks that a claim leaves out, if there are any.
local left_out

-- Reads the tasks that are left out, their count first, and gives the place behind them.
local function read_left_out(arguments, first)
  local last = first + tonumber(arguments[first])
  for place = first + 1, last do
    left_out = left_out or {}
    left_out[arguments[place]] = true
  end
  return last + 1
end

-- A claim lets a runner begin unless it was retired, and makes it known.
local function may_claim(runner, time)
  local known = call('HGET', K.runners, runner)
  if known then
    local _, _, retired = parse('>I6I6I6', known)
    return retired == 0
  end
  call('HSET', K.runners, runner, pack('>I6I6I6', time, T.first_lease, 0))
  call('ZADD', K.leases, int(time + T.first_lease), runner)
  return true
end

local function repeated(e, runner)
  if e[E.granted] == 0 then return BUSY end
  return e[E.owner] == runner and e[E.raw] or GONE
end

local function told(way)
  local shown = {}
  for place, id in ipairs(way) do
    local digits = string.gsub(id, '.', function(c) return string.format('%02x', byte(c)) end)
    shown[place] = string.gsub(digits, '^(........)(....)(....)(....)(............)$', '%1-%2-%3-%4-%5')
  end
  return table.concat(shown, ' -> ')
end

-- What becomes of a claimable invocation that finds no slot.
local function turn_away(id, e, key, runner, time)
  if e[E.running] == 1 and e[E.starts] == 0 then
    enter(id, e, S.concurrency_controlled_final, A.claimer, runner, 0, R.slot_taken, nil, time)
    return
  end
  local way = circle(id, {'k' .. key})
  if way then
    enter(id, e, S.failed, A.claimer, runner, 0, R.wait_cycle, told(way), time)
  else
    enter(id, e, S.concurrency_controlled, A.claimer, runner, 0, R.slot_taken, nil, time)
    park(key, id)
  end
end

local function claim_anew(id, runner, token, runs_below, time)
  local e = read(id)
  if not e then return GONE end
  if e[E.token] == token then return repeated(e, runner) end
  if refusal(e, S.pending, A.claimer, runner, false, time) then return GONE end
  if left_out and left_out[e[E.task]] then return 'L' .. e[E.raw] end
  local key, limit
  if e[E.running] ~= 0 then key, limit = running_key(e) end
  local is_free = not key or take(key, id, limit)
  e[E.token], e[E.granted] = token, is_free and 1 or 0
  if not is_free then
    turn_away(id, e, key, runner, time)
    return BUSY
  end
  local is_run = e[E.losses] < runs_below
  enter(id, e, S.pending, A.claimer, runner, 0, R.claimed, nil, time, is_run and S.running)
  return e[E.raw]
end

-- What the claims of a script ask for.
local claiming

local function claim(id, runner, token, runs_below, time)
  local raw = text(id)
  local like = raw and not left_out and sub(raw, 60, FACTS - 1) ~= token and likeness(raw)
  if not like then return claim_anew(id, runner, token, runs_below, time) end
  claiming = claiming or 'c' .. runs_below .. runner
  local step = known_step(claiming, like)
  if step then
    step_again(step, id, raw, token, time)
    return changed[id]
  end
  local reply = claim_anew(id, runner, token, runs_below, time)
  remember(claiming, like, id, raw)
  return reply
end

-- The answer to each claim, and behind it what was called, where it is granted.
local function claimed_with_records(ids, runner, token, runs_below, time)
  local replies, granted, keys = {}, {}, {}
  fetch(ids)
  for _, id in ipairs(ids) do
    local reply = guarded(claim, id, runner, token, runs_below, time)
    replies[#replies + 1], replies[#replies + 2] = reply, false
    if type(reply) == 'string' and byte(reply) == 1 then
      granted[#granted + 1], keys[#keys + 1] = #replies, K.record .. id
    end
  end
  if #keys == 0 then return replies end
  for place, record in ipairs(call('MGET', unpack(keys))) do replies[granted[place]] = record end
  return replies
end
