-- Offers those whose events have come: first who was offered before and isn't done, then who lies in the heaps.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local offered = call('ZRANGEBYSCORE', K.awoken, '-inf', time - again_after, 'LIMIT', 0, limit)
if #offered == limit or call('EXISTS', K.heaps) == 0 then
  if #offered > 0 then pass_without_memory() end
else
  pass_without_memory()
  while #offered < limit do
    local heap = call('LINDEX', K.heaps, 0)
    if not heap then break end
    local taken = call('SPOP', K.heap .. sub(heap, 1, 6), limit - #offered)
    if #taken == 0 then call('LPOP', K.heaps) end
    for _, waiter in ipairs(taken) do
      call('SREM', K.waits_of .. waiter, sub(heap, 7))
      if call('ZADD', K.awoken, 'NX', time, waiter) == 1 then offered[#offered + 1] = waiter end
    end
  end
end
for _, waiter in ipairs(offered) do call('ZADD', K.awoken, time, waiter) end
return offered
