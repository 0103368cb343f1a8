local id, epoch, position, entry = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local fence = tonumber(call('HGET', K.fence .. id, 'f') or 0)
if epoch < fence then return fence end
pass_without_memory()
local place = call('HGET', K.fence .. id, 'p' .. position)
if place then return call('LINDEX', K.journal .. id, place) end
local length = call('RPUSH', K.journal .. id, entry)
call('HSET', K.fence .. id, 'p' .. position, length - 1)
return false
