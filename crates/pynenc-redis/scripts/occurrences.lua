local replies = {}
for _, waits in ipairs(call('ZRANGE', K.occurred .. ARGV[1], 0, ARGV[2] - 1)) do
  local id = sub(waits, 7)
  replies[#replies + 1] = id
  replies[#replies + 1] = call('HGET', K.occurrences, id)
end
return replies
