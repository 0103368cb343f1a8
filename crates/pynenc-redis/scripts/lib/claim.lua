local GONE, BUSY = 0, 1
-- The tasks that the claim leaves out, or nil.
local left_out

-- Reads the tasks to leave out, which begin with their number. Gives the index of the next argument.
local function read_left_out(arguments, first)
  local last = first + tonumber(arguments[first])
  for i = first + 1, last do
    left_out = left_out or {}
    left_out[arguments[i]] = true
  end
  return last + 1
end

-- Whether the runner may claim: it isn't retired. Makes an unknown runner known.
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

-- The reply to a repeated claim with the same token.
local function repeated_reply(e, runner)
  if e[E.granted] == 0 then return BUSY end
  return e[E.owner] == runner and e[E.raw] or GONE
end

-- A wait cycle as text, for the detail of a history line.
local function cycle_text(cycle)
  local shown = {}
  for i, id in ipairs(cycle) do
    local digits = string.gsub(id, '.', function(c) return string.format('%02x', byte(c)) end)
    shown[i] = string.gsub(digits, '^(........)(....)(....)(....)(............)$', '%1-%2-%3-%4-%5')
  end
  return table.concat(shown, ' -> ')
end

-- Parks an invocation that found no free slot. Finishes it if its task says so, and fails it if parking closes a cycle.
local function park_or_finish(id, e, key, runner, time)
  if e[E.when_blocked] == 1 and e[E.starts] == 0 then
    change_status(id, e, S.concurrency_controlled_final, A.claimer, runner, 0, R.slot_taken, nil, time)
    return
  end
  local cycle = wait_cycle(id, {'k' .. key})
  if cycle then
    change_status(id, e, S.failed, A.claimer, runner, 0, R.wait_cycle, cycle_text(cycle), time)
  else
    change_status(id, e, S.concurrency_controlled, A.claimer, runner, 0, R.slot_taken, nil, time)
    park(key, id)
  end
end

local function claim_uncached(id, runner, token, runs_below, time)
  local e = read_entry(id)
  if not e then return GONE end
  if e[E.token] == token then return repeated_reply(e, runner) end
  if refusal(e, S.pending, A.claimer, runner, false, time) then return GONE end
  if left_out and left_out[e[E.task]] then return 'L' .. e[E.raw] end
  local key, limit
  if e[E.when_blocked] ~= 0 then key, limit = running_key(e) end
  local has_slot = not key or take_slot(key, id, limit)
  e[E.token], e[E.granted] = token, has_slot and 1 or 0
  if not has_slot then
    park_or_finish(id, e, key, runner, time)
    return BUSY
  end
  local starts = e[E.losses] < runs_below
  change_status(id, e, S.pending, A.claimer, runner, 0, R.claimed, nil, time, starts and S.running)
  return e[E.raw]
end

-- The request of all claims of this script, for the transition cache.
local claim_request

local function claim_invocation(id, runner, token, runs_below, time)
  local raw = raw_entry(id)
  local state = raw and not left_out and sub(raw, 60, REGISTRATION - 1) ~= token and state_of(raw)
  if not state then return claim_uncached(id, runner, token, runs_below, time) end
  claim_request = claim_request or 'c' .. runs_below .. runner
  local cached = cached_transition(claim_request, state)
  if cached then
    repeat_transition(cached, id, raw, token, time)
    return changed[id]
  end
  local reply = claim_uncached(id, runner, token, runs_below, time)
  remember_transition(claim_request, state, id, raw)
  return reply
end

-- The reply to each claim, followed by the record of the call if the claim is granted.
local function claim_with_records(ids, runner, token, runs_below, time)
  local replies, granted, keys = {}, {}, {}
  prefetch(ids)
  for _, id in ipairs(ids) do
    local reply = run_item(claim_invocation, id, runner, token, runs_below, time)
    replies[#replies + 1], replies[#replies + 2] = reply, false
    if type(reply) == 'string' and byte(reply) == 1 then
      granted[#granted + 1], keys[#keys + 1] = #replies, K.record .. id
    end
  end
  if #keys == 0 then return replies end
  for i, record in ipairs(call('MGET', unpack(keys))) do replies[granted[i]] = record end
  return replies
end
