-- A queue is a sorted set of what is ready, by priority and then sequence, and one of what is due later, by time and
-- then priority. A wake list holds a token for each popper that ought to look; a token carries no work.
local HIGHEST, BAND, BATCH, TOKENS = 1023, 2 ^ 42, 500, 16
local has_delayed, pushed, ready = {}, {}, {}
local sequence

-- What is ready is written once for all items, but before anything that reads it.
local function flush_ready(queue)
  local members = ready[queue]
  if members then call('ZADD', K.ready .. queue, 'LT', unpack(members)) end
  ready[queue] = nil
end

local function next_sequence()
  sequence = sequence and sequence + 1 or call('INCRBY', K.sequence, int(2 * BATCH)) - 2 * BATCH
  return sequence
end

local function put_ready(queue, id, priority)
  local members = ready[queue] or {}
  ready[queue] = members
  members[#members + 1] = int((HIGHEST - priority) * BAND + next_sequence())
  members[#members + 1] = id
  if #members >= 2 * BATCH then flush_ready(queue) end
  pushed[queue] = (pushed[queue] or 0) + 1
end

local function delayed_score(due, priority)
  return int(due * 1024 + HIGHEST - priority)
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
  has_delayed[queue] = true
  if call('ZRANGE', K.delayed .. queue, 0, 0)[1] == id then pushed[queue] = math.max(pushed[queue] or 0, 1) end
end

-- Adds a hint; of two for one invocation one is kept, at the better place.
local function push(queue, id, priority, due, time)
  if due > time then return put_delayed(queue, id, priority, due) end
  if has_delayed[queue] == nil then has_delayed[queue] = call('EXISTS', K.delayed .. queue) == 1 end
  local old = has_delayed[queue] and call('ZSCORE', K.delayed .. queue, id)
  if old then
    priority = math.max(priority, HIGHEST - old % 1024)
    call('ZREM', K.delayed .. queue, id)
  end
  put_ready(queue, id, priority)
end

-- Adds the hint of an invocation that is new: there can't be another one.
local function push_new(queue, id, priority, due, time)
  if due <= time then return put_ready(queue, id, priority) end
  call('ZADD', K.delayed .. queue, delayed_score(due, priority), id)
  has_delayed[queue] = true
  if call('ZRANGE', K.delayed .. queue, 0, 0)[1] == id then pushed[queue] = math.max(pushed[queue] or 0, 1) end
end

local function put_tokens(queue, count)
  local room = math.min(count, TOKENS) - call('LLEN', K.wake .. queue)
  for _ = 1, room do call('RPUSH', K.wake .. queue, '') end
end

local function wake_poppers()
  for queue, count in pairs(pushed) do
    flush_ready(queue)
    put_tokens(queue, count)
  end
end

-- How long it is to the first due time of a queue, if it has one.
local function until_due(queue, time)
  local first = call('ZRANGE', K.delayed .. queue, '0', '0', 'WITHSCORES')[2]
  return first and math.max(math.floor(first / 1024) - time, 0)
end

-- Moves what is due to what is ready, and gives how long it is to what isn't due.
local function promote(queue, time)
  local ahead = until_due(queue, time)
  if ahead ~= 0 then return ahead end
  pass_without_memory()
  local till = '(' .. delayed_score(time + 1, HIGHEST)
  local due = call('ZRANGEBYSCORE', K.delayed .. queue, '-inf', till, 'WITHSCORES', 'LIMIT', 0, BATCH)
  for place = 1, #due, 2 do
    put_ready(queue, due[place], HIGHEST - due[place + 1] % 1024)
    call('ZREM', K.delayed .. queue, due[place])
  end
  flush_ready(queue)
  return until_due(queue, time)
end
