-- Interests are a status and a task each; of two ends the later holds.
local till = now() + tonumber(ARGV[1])
for place = 2, #ARGV do
  local before = tonumber(call('HGET', K.wanted, ARGV[place]) or 0)
  call('HSET', K.wanted, ARGV[place], string.format('%.0f', math.max(till, before)))
end
return true
