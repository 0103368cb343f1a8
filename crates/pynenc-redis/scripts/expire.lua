-- Drops what is old: events, occurrences that were used up, runs that were submitted.
local till, left, dropped = now() - ARGV[1], tonumber(ARGV[2]), 0
pass_without_memory()

local function each_old(index, drop)
  if left <= 0 then return end
  for _, member in ipairs(call('ZRANGEBYSCORE', index, '-inf', till, 'LIMIT', 0, left)) do
    drop(member)
    call('ZREM', index, member)
    left, dropped = left - 1, dropped + 1
  end
end

each_old(K.event_ages, function(sequence)
  local kept = call('HGET', K.events, sequence)
  local _, name = parse('>I6I2c0', kept)
  call('HDEL', K.events, sequence)
  call('ZREM', K.named_events .. name, sequence)
end)
each_old(K.used, function(id) call('HDEL', K.occurrences, id) end)
each_old(K.submitted, function(id) call('HDEL', K.runs, id) end)
return dropped
