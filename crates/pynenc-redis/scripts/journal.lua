-- Raises the fence and reads; a higher fence is the answer to who comes late.
local id, epoch = ARGV[1], tonumber(ARGV[2])
local fence = tonumber(call('HGET', K.fence .. id, 'f') or 0)
if epoch < fence then return fence end
if epoch > fence then call('HSET', K.fence .. id, 'f', epoch) end
return call('LRANGE', K.journal .. id, 0, -1)
