-- An occurrence is its id, its trigger, its condition, its time, its end, and its context.
for place = 1, #ARGV, 6 do
  local id, trigger, condition, at, till = unpack(ARGV, place, place + 4)
  if call('HEXISTS', K.occurrences, id) == 0 then
    local waits = pack('>I6', call('INCR', K.trigger_last)) .. id
    local line = pack('>I4', condition) .. trigger
    local kept = pack('>I6I6I2c0I2c0', at, till, #line, line, #waits, waits)
    call('HSET', K.occurrences, id, kept .. ARGV[place + 5])
    call('ZADD', K.occurred .. line, at, waits)
    call('ZADD', K.occurrence_ends, till, id)
  end
end
return true
