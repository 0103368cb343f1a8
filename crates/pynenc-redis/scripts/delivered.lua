-- Stores deliveries. A delivery is the run, and the reason if its call was refused, or nothing.
local time = now()
allow_full_memory()
for i = 1, #ARGV, 2 do
  local id = ARGV[i]
  local stored, _, position = call('HGET', K.runs, id)
  if stored then _, position = parse('>I6I2c0', stored) end
  if position and call('ZREM', K.undelivered, position) == 1 then
    call('ZADD', K.delivered, time, id)
    call('HSET', K.deliveries, id, ARGV[i + 1])
  end
end
return true
