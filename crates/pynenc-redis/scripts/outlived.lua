-- What has outlived its retention: the first of each list, until one hasn't.
local limit, time, replies = tonumber(ARGV[1]), now(), {}

-- Adds those of one list, and tells whether anything is left in it. A list may name what is gone.
local function add(kept)
  local list = K.retained .. kept
  local ids = call('LRANGE', list, '0', int(limit - 1))
  fetch(ids)
  for _, id in ipairs(ids) do
    local e = read(id)
    if not e or not is(T.final, e[E.status]) then
      call('LREM', list, '1', id)
    elseif e[E.at] + kept > time or #replies >= limit then
      return true
    else
      replies[#replies + 1] = id
    end
  end
  return #ids > 0
end

for _, kept in ipairs(call('SMEMBERS', K.lengths)) do
  if not add(kept) then call('SREM', K.lengths, kept) end
end
local longer = call('ZRANGEBYSCORE', K.kept_longer, '-inf', int(time), 'LIMIT', '0', int(limit - #replies))
for _, id in ipairs(longer) do replies[#replies + 1] = id end
return replies
