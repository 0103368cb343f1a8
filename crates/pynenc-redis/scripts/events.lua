local replies = {}
local places = call('ZRANGEBYSCORE', K.named_events .. ARGV[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
for _, sequence in ipairs(places) do
  replies[#replies + 1] = tonumber(sequence)
  replies[#replies + 1] = call('HGET', K.events, sequence)
end
return replies
