-- Appends entries, each behind its position. A new one is answered with its time, another with what was there.
local id, epoch, time, replies = ARGV[1], tonumber(ARGV[2]), now(), {}
local header = K.fence .. id
local fence = tonumber(call('HGET', header, 'f') or 0)
if epoch < fence then return fence end
pass_without_memory()
for place = 3, #ARGV, 2 do
  local position = 'p' .. ARGV[place]
  local there = call('HGET', header, position)
  if there then
    replies[#replies + 1] = call('LINDEX', K.journal .. id, there)
  else
    local length = call('RPUSH', K.journal .. id, pack('>I6', time) .. ARGV[place + 1])
    call('HSET', header, position, length - 1)
    replies[#replies + 1] = time
  end
end
return replies
