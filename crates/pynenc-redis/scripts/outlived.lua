-- Offers finished invocations whose retention is over, and offers each again later. An offered invocation moves from
-- the list of its retention to an index by the time of its next offer.
local limit, again_after, time, replies = tonumber(ARGV[1]), tonumber(ARGV[2]), now(), {}
if limit == 0 then return replies end
allow_full_memory()

local function offer(id)
  call('ZADD', K.outlived, int(time + again_after), id)
  replies[#replies + 1] = id
end

-- Offers the first invocations of a list, until one whose retention isn't over. Drops ids of forgotten invocations.
local function offer_from(retention)
  if #replies >= limit then return end
  local list = K.retained .. retention
  local ids = call('LRANGE', list, '0', int(limit - 1))
  prefetch(ids)
  for _, id in ipairs(ids) do
    local raw = readable_entry(id)
    local is_finished = raw and contains(T.final, status_of(raw))
    if is_finished and (changed_at(raw) + retention > time or #replies >= limit) then return end
    call('LREM', list, '1', id)
    if is_finished then offer(id) end
  end
end

local again = call('ZRANGEBYSCORE', K.outlived, '-inf', int(time), 'LIMIT', '0', int(limit))
for _, retention in ipairs(call('SMEMBERS', K.retentions)) do
  offer_from(retention)
  if call('EXISTS', K.retained .. retention) == 0 then call('SREM', K.retentions, retention) end
end
for i = 1, math.min(#again, limit - #replies) do offer(again[i]) end
return replies
