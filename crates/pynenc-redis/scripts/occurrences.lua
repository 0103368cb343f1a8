-- A question is a trigger, a condition and a time; its answer is a list of ids and what is kept of each.
local limit, replies = ARGV[1], {}
for place = 2, #ARGV, 3 do
  local line = K.occurred .. pack('>I4', ARGV[place + 1]) .. ARGV[place]
  local answer = {}
  for _, waits in ipairs(call('ZRANGEBYSCORE', line, ARGV[place + 2], '+inf', 'LIMIT', 0, limit)) do
    local id = sub(waits, 7)
    answer[#answer + 1] = id
    answer[#answer + 1] = call('HGET', K.occurrences, id)
  end
  replies[#replies + 1] = answer
end
return replies
