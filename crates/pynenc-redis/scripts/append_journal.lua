-- Appends entries, each behind its position. The reply to a new entry is its time, and otherwise the earlier entry.
local id, epoch, time, replies = ARGV[1], tonumber(ARGV[2]), now(), {}
local header = K.fence .. id
local fence = tonumber(call('HGET', header, 'f') or 0)
if epoch < fence then return fence end
allow_full_memory()
for i = 3, #ARGV, 2 do
  local position = 'p' .. ARGV[i]
  local index = call('HGET', header, position)
  if index then
    replies[#replies + 1] = call('LINDEX', K.journal .. id, index)
  else
    local length = call('RPUSH', K.journal .. id, pack('>I6', time) .. ARGV[i + 1])
    call('HSET', header, position, length - 1)
    replies[#replies + 1] = time
  end
end
return replies
