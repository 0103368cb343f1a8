-- Ends all waits of the given waiters, then offers others whose event has arrived: first those whose last offer is too
-- long ago, then those in the batches of append_events.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
if #ARGV > 2 then allow_full_memory() end
for i = 3, #ARGV do
  local waiter = ARGV[i]
  for _, wait in ipairs(call('SMEMBERS', K.event_waits_of .. waiter)) do call('SREM', K.event_waits .. wait, waiter) end
  call('DEL', K.event_waits_of .. waiter)
  call('ZREM', K.ready_waiters, waiter)
end
if limit == 0 then return {} end

local offered = call('ZRANGEBYSCORE', K.ready_waiters, '-inf', time - again_after, 'LIMIT', 0, limit)
local has_batches = #offered < limit and call('EXISTS', K.ready_batches) == 1
if #offered > 0 or has_batches then allow_full_memory() end
while has_batches and #offered < limit do
  local batch = call('LINDEX', K.ready_batches, 0)
  if not batch then break end
  local waiters = call('SPOP', K.ready_batch .. sub(batch, 1, 6), limit - #offered)
  if #waiters == 0 then call('LPOP', K.ready_batches) end
  for _, waiter in ipairs(waiters) do
    -- The wait is gone if somebody has ended it since the event arrived.
    local still_waits = call('SREM', K.event_waits_of .. waiter, sub(batch, 7)) == 1
    if still_waits and call('ZADD', K.ready_waiters, 'NX', time, waiter) == 1 then offered[#offered + 1] = waiter end
  end
end
for _, waiter in ipairs(offered) do call('ZADD', K.ready_waiters, time, waiter) end
return offered
