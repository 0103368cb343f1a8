-- Claims each run, uses up its occurrences, moves its watermark and keeps it, or does nothing of it. A run is its id, its
-- trigger, itself, whether it has a call, its schedule, the watermark and the slot, and the number of its occurrences and these.
local time, replies = now(), {}

local function is_due(schedule, from, to)
  return schedule == '' or (tonumber(to) <= time and call('HGET', K.watermarks, schedule) == from)
end

local function consumable(first, count)
  local consumed = {}
  for place = first, first + count - 1 do
    local kept = call('HGET', K.occurrences, ARGV[place])
    if not kept or call('ZSCORE', K.used, ARGV[place]) then return nil end
    consumed[#consumed + 1] = {ARGV[place], kept}
  end
  return consumed
end

local function keep(id, trigger, run, has_call)
  local open = pack('>I6', call('INCR', K.trigger_last)) .. id
  call('HSET', K.runs, id, pack('>I6I2c0I2c0', time, #open, open, #trigger, trigger) .. run)
  call('ZADD', K.fired .. trigger, time, open)
  if has_call == '1' then call('ZADD', K.open, time, open) else call('ZADD', K.delivered, time, id) end
end

local function fire(place, count)
  local id, trigger, run, has_call, schedule, from, to = unpack(ARGV, place, place + 6)
  if call('HEXISTS', K.runs, id) == 1 or not is_due(schedule, from, to) then return 0 end
  local consumed = consumable(place + 8, count)
  if not consumed then return 0 end
  keep(id, trigger, run, has_call)
  if schedule ~= '' then call('HSET', K.watermarks, schedule, to) end
  for _, occurrence in ipairs(consumed) do
    local _, _, line, waits = parse('>I6I6I2c0I2c0', occurrence[2])
    call('ZREM', K.occurred .. line, waits)
    call('ZREM', K.occurrence_ends, occurrence[1])
    call('ZADD', K.used, time, occurrence[1])
  end
  return 1
end

local place = 1
while place <= #ARGV do
  local count = tonumber(ARGV[place + 7])
  replies[#replies + 1] = fire(place, count)
  place = place + 8 + count
end
return replies
