-- A queue has a sorted set of ready hints, by priority and then by sequence, and one of delayed hints, by due time and
-- then by priority. Its wake list has a token for each waiting consumer that should read the queue. A token carries no
-- work.
local HIGHEST, BAND, BATCH, TOKENS = 1023, 2 ^ 42, 500, 16
-- By queue: whether it has delayed hints, how many hints were pushed, and ready hints that aren't written yet.
local has_delayed, pushed, ready = {}, {}, {}
local last_sequence

-- Ready hints of all items are written together, but before any command that reads them.
local function flush_ready(queue)
  local members = ready[queue]
  if members then call('ZADD', K.ready .. queue, 'LT', unpack(members)) end
  ready[queue] = nil
end

local function next_sequence()
  last_sequence = last_sequence and last_sequence + 1 or call('INCRBY', K.sequence, int(2 * BATCH)) - 2 * BATCH
  return last_sequence
end

-- Hints of one score are ordered by the bytes of their ids. So hints in this order share a score. Scripts compare by the
-- locale of the server, which may be another order.
local IS_BYTEWISE = 'B' < 'a'
local last_id, last_priority, score

local function put_ready(queue, id, priority)
  local members = ready[queue] or {}
  ready[queue] = members
  if not IS_BYTEWISE or priority ~= last_priority or id <= last_id then
    last_priority, score = priority, int((HIGHEST - priority) * BAND + next_sequence())
  end
  last_id = id
  members[#members + 1] = score
  members[#members + 1] = id
  if #members >= 2 * BATCH then flush_ready(queue) end
  pushed[queue] = (pushed[queue] or 0) + 1
end

local function delayed_score(due, priority)
  return int(due * 1024 + HIGHEST - priority)
end

-- A waiting consumer has to learn of a hint that is due before all others.
local function wake_if_first(queue, id)
  has_delayed[queue] = true
  if call('ZRANGE', K.delayed .. queue, 0, 0)[1] == id then pushed[queue] = math.max(pushed[queue] or 0, 1) end
end

local function put_delayed(queue, id, priority, due)
  flush_ready(queue)
  if call('ZSCORE', K.ready .. queue, id) then return put_ready(queue, id, priority) end
  local old = call('ZSCORE', K.delayed .. queue, id)
  if old then
    due = math.min(due, math.floor(old / 1024))
    priority = math.max(priority, HIGHEST - old % 1024)
  end
  call('ZADD', K.delayed .. queue, delayed_score(due, priority), id)
  wake_if_first(queue, id)
end

-- Adds a hint. Of two hints for one invocation, the earlier time and the higher priority are kept.
local function push_hint(queue, id, priority, due, time)
  if due > time then return put_delayed(queue, id, priority, due) end
  if has_delayed[queue] == nil then has_delayed[queue] = call('EXISTS', K.delayed .. queue) == 1 end
  local old = has_delayed[queue] and call('ZSCORE', K.delayed .. queue, id)
  if old then
    priority = math.max(priority, HIGHEST - old % 1024)
    call('ZREM', K.delayed .. queue, id)
  end
  put_ready(queue, id, priority)
end

-- Adds the hint for a new invocation, which can't have one yet.
local function push_new_hint(queue, id, priority, due, time)
  if due <= time then return put_ready(queue, id, priority) end
  call('ZADD', K.delayed .. queue, delayed_score(due, priority), id)
  wake_if_first(queue, id)
end

local function add_wake_tokens(queue, count)
  local room = math.min(count, TOKENS) - call('LLEN', K.wake .. queue)
  for _ = 1, room do call('RPUSH', K.wake .. queue, '') end
end

local function wake_consumers()
  for queue, count in pairs(pushed) do
    flush_ready(queue)
    add_wake_tokens(queue, count)
  end
end

-- The time until the first delayed hint is due, or nil.
local function time_until_due(queue, time)
  local first = call('ZRANGE', K.delayed .. queue, '0', '0', 'WITHSCORES')[2]
  return first and math.max(math.floor(first / 1024) - time, 0)
end

-- Moves due hints to the ready ones, and gives the time until the next one is due, or nil.
local function promote_due(queue, time)
  local remaining = time_until_due(queue, time)
  if remaining ~= 0 then return remaining end
  allow_full_memory()
  local latest = '(' .. delayed_score(time + 1, HIGHEST)
  local due = call('ZRANGEBYSCORE', K.delayed .. queue, '-inf', latest, 'WITHSCORES', 'LIMIT', 0, BATCH)
  for i = 1, #due, 2 do
    put_ready(queue, due[i], HIGHEST - due[i + 1] % 1024)
    call('ZREM', K.delayed .. queue, due[i])
  end
  flush_ready(queue)
  return time_until_due(queue, time)
end
