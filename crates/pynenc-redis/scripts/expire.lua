-- Drops what is old: events, listeners that are gone, occurrences that were used up, those that nobody will ask for, and
-- runs that are over.
local time = now()
local till, left, dropped = time - ARGV[1], tonumber(ARGV[2]), 0
pass_without_memory()

local function each_old(index, before, drop)
  if left <= 0 then return end
  for _, member in ipairs(call('ZRANGEBYSCORE', index, '-inf', before, 'LIMIT', 0, left)) do
    drop(member)
    call('ZREM', index, member)
    left, dropped = left - 1, dropped + 1
  end
end

each_old(K.event_ages, till, function(sequence)
  local kept = call('HGET', K.events, sequence)
  local _, name, rest = parse('>I6I2c0', kept)
  if byte(kept, rest) == 1 then
    local key = '1' .. parse('>I4c0', kept, rest + 1)
    call('ZREM', K.keyed_events .. sub(kept, 7, rest - 1) .. key, sequence)
  end
  call('HDEL', K.events, sequence)
  call('ZREM', K.named_events .. name, sequence)
end)
each_old(K.used, till, function(id) call('HDEL', K.occurrences, id) end)
each_old(K.occurrence_ends, time, function(id)
  local _, _, line, waits = parse('>I6I6I2c0I2c0', call('HGET', K.occurrences, id))
  call('HDEL', K.occurrences, id)
  call('ZREM', K.occurred .. line, waits)
end)
each_old(K.delivered, till, function(id)
  local _, open, trigger = parse('>I6I2c0I2c0', call('HGET', K.runs, id))
  call('HDEL', K.runs, id)
  call('HDEL', K.deliveries, id)
  call('ZREM', K.fired .. trigger, open)
end)
local counted = dropped
each_old(K.listener_ages, till, function(listener)
  call('HDEL', K.listeners, listener)
  call('DEL', K.taken .. listener)
end)
return counted
