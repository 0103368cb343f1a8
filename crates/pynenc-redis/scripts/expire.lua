-- Deletes old events, occurrences that were consumed long ago or are over, and runs that were delivered long ago. Gives
-- their number. Old listeners are deleted too, but not counted.
local time = now()
local latest, left, dropped = time - ARGV[1], tonumber(ARGV[2]), 0
allow_full_memory()

local function drop_old(index, before, drop)
  if left <= 0 then return end
  for _, member in ipairs(call('ZRANGEBYSCORE', index, '-inf', before, 'LIMIT', 0, left)) do
    drop(member)
    call('ZREM', index, member)
    left, dropped = left - 1, dropped + 1
  end
end

drop_old(K.event_ages, latest, function(sequence)
  local stored = call('HGET', K.events, sequence)
  local _, name, rest = parse('>I6I2c0', stored)
  if byte(stored, rest) == 1 then
    local key = '1' .. parse('>I4c0', stored, rest + 1)
    call('ZREM', K.keyed_events .. sub(stored, 7, rest - 1) .. key, sequence)
  end
  call('HDEL', K.events, sequence)
  call('ZREM', K.named_events .. name, sequence)
end)
drop_old(K.consumed_occurrences, latest, function(id) call('HDEL', K.occurrences, id) end)
drop_old(K.occurrence_expiries, time, function(id)
  local _, _, condition, position = parse('>I6I6I2c0I2c0', call('HGET', K.occurrences, id))
  call('HDEL', K.occurrences, id)
  call('ZREM', K.waiting_occurrences .. condition, position)
end)
drop_old(K.delivered, latest, function(id)
  local _, position, trigger = parse('>I6I2c0I2c0', call('HGET', K.runs, id))
  call('HDEL', K.runs, id)
  call('HDEL', K.deliveries, id)
  call('ZREM', K.runs_of .. trigger, position)
end)
local number = dropped
drop_old(K.listener_ages, latest, function(listener)
  call('HDEL', K.listeners, listener)
  call('DEL', K.offered_events .. listener)
end)
return number
