-- Gives the first event of each wait, or keeps the wait. A wait is who waits, a name, a key behind a mark or nothing,
-- the time from which on it counts, and the place behind which.
local replies = {}
pass_without_memory()

-- The last event before a time stands where the search begins. Others of its millisecond may stand behind it.
local function start(since, after)
  local before = call('ZREVRANGEBYSCORE', K.event_ages, '(' .. since, '-inf', 'LIMIT', 0, 1)[1]
  return math.max(tonumber(before or 0), after)
end

local function first(index, since, after)
  local low = start(since, after)
  while true do
    local places = call('ZRANGEBYSCORE', index, '(' .. low, '+inf', 'LIMIT', 0, 16)
    for _, place in ipairs(places) do
      low = place
      if tonumber(call('ZSCORE', K.event_ages, place) or -1) >= since then return place end
    end
    if #places == 0 then return nil end
  end
end

for place = 1, #ARGV, 5 do
  local waiter, name, key, since, after =
    ARGV[place], ARGV[place + 1], ARGV[place + 2], tonumber(ARGV[place + 3]), tonumber(ARGV[place + 4])
  local line = pack('>I2c0', #name, name) .. key
  local found = first(key == '' and K.named_events .. name or K.keyed_events .. line, since, after)
  if found then
    replies[#replies + 1], replies[#replies + 2] = tonumber(found), call('HGET', K.events, found)
  else
    call('SADD', K.event_waits .. line, waiter)
    call('SADD', K.waits_of .. waiter, line)
    replies[#replies + 1], replies[#replies + 2] = 0, ''
  end
end
return replies
