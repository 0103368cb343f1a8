-- Fires runs and skips slots, each completely or not at all. An item is its kind, the run's id, the trigger, the
-- encoded run, the schedule, the watermark before the slot and after it, and the number of consumed occurrences and
-- their ids.
local time, replies = now(), {}

local function is_due(schedule, from, to)
  return schedule == '' or (tonumber(to) <= time and call('HGET', K.watermarks, schedule) == from)
end

-- The occurrences to consume, or nil if one of them is missing or consumed.
local function unconsumed(first, count)
  local found = {}
  for i = first, first + count - 1 do
    local stored = call('HGET', K.occurrences, ARGV[i])
    if not stored or call('ZSCORE', K.consumed_occurrences, ARGV[i]) then return nil end
    found[#found + 1] = {ARGV[i], stored}
  end
  return found
end

local function store_run(kind, id, trigger, run)
  local position = pack('>I6', call('INCR', K.trigger_last)) .. id
  call('HSET', K.runs, id, pack('>I6I2c0I2c0', time, #position, position, #trigger, trigger) .. run)
  call('ZADD', K.runs_of .. trigger, time, position)
  if kind == 'call' then call('ZADD', K.undelivered, time, position) else call('ZADD', K.delivered, time, id) end
end

local function consume(id, stored)
  local _, _, condition, position = parse('>I6I6I2c0I2c0', stored)
  call('ZREM', K.waiting_occurrences .. condition, position)
  call('ZREM', K.occurrence_expiries, id)
  call('ZADD', K.consumed_occurrences, time, id)
end

local function fire(first, count)
  local kind, id, trigger, run, schedule, from, to = unpack(ARGV, first, first + 6)
  if kind ~= 'skip' and call('HEXISTS', K.runs, id) == 1 or not is_due(schedule, from, to) then return 0 end
  local consumed = unconsumed(first + 8, count)
  if not consumed then return 0 end
  if kind ~= 'skip' then store_run(kind, id, trigger, run) end
  if schedule ~= '' then call('HSET', K.watermarks, schedule, to) end
  for _, occurrence in ipairs(consumed) do consume(occurrence[1], occurrence[2]) end
  return 1
end

local first = 1
while first <= #ARGV do
  local count = tonumber(ARGV[first + 7])
  replies[#replies + 1] = fire(first, count)
  first = first + 8 + count
end
return replies
