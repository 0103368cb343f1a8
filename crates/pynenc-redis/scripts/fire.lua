-- Claims a run, uses up its occurrences and keeps it, or does nothing.
local id, run, time = ARGV[1], ARGV[2], now()
if call('HEXISTS', K.runs, id) == 1 then return 0 end
local consumed = {}
for place = 3, #ARGV do
  local kept = call('HGET', K.occurrences, ARGV[place])
  if not kept or call('ZSCORE', K.used, ARGV[place]) then return 0 end
  consumed[#consumed + 1] = {ARGV[place], kept}
end
local open = pack('>I6', call('INCR', K.trigger_last)) .. id
call('HSET', K.runs, id, pack('>I2c0', #open, open) .. run)
call('ZADD', K.open, time, open)
for _, occurrence in ipairs(consumed) do
  local _, trigger, waits = parse('>I6I2c0I2c0', occurrence[2])
  call('ZREM', K.occurred .. trigger, waits)
  call('ZADD', K.used, time, occurrence[1])
end
return 1
