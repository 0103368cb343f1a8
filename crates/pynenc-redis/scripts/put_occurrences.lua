-- An occurrence is its id, its trigger, its time, and its encoded rest.
for place = 1, #ARGV, 4 do
  local id, trigger, at = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  if call('HEXISTS', K.occurrences, id) == 0 then
    local waits = pack('>I6', call('INCR', K.trigger_last)) .. id
    local kept = pack('>I6I2c0I2c0', at, #trigger, trigger, #waits, waits)
    call('HSET', K.occurrences, id, kept .. ARGV[place + 3])
    call('ZADD', K.occurred .. trigger, at, waits)
  end
end
return true
