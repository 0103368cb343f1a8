local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
pass_without_memory()
local offered = call('ZRANGEBYSCORE', K.offered, '-inf', time - again_after, 'LIMIT', 0, limit)
local fresh = #offered < limit and call('ZRANGE', K.fresh, 0, limit - #offered - 1) or {}
for _, sequence in ipairs(fresh) do offered[#offered + 1] = sequence end
table.sort(offered, function(a, b) return tonumber(a) < tonumber(b) end)
local replies = {}
for _, sequence in ipairs(offered) do
  call('ZREM', K.fresh, sequence)
  call('ZADD', K.offered, time, sequence)
  replies[#replies + 1] = tonumber(sequence)
  replies[#replies + 1] = call('HGET', K.outbox, sequence)
end
return replies
