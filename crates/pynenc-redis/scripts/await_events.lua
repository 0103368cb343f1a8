-- Gives the first event for each wait, or stores the wait. A wait is the waiter, the name, the key behind a mark or
-- nothing, the earliest time of the event, and the position behind which the event has to be.
local replies = {}
allow_full_memory()

-- Where the search begins: behind the last event before a time. More events of that event's millisecond may follow.
local function search_start(since, after)
  local before = call('ZREVRANGEBYSCORE', K.event_ages, '(' .. since, '-inf', 'LIMIT', 0, 1)[1]
  return math.max(tonumber(before or 0), after)
end

local function first_event(index, since, after)
  local low = search_start(since, after)
  while true do
    local places = call('ZRANGEBYSCORE', index, '(' .. low, '+inf', 'LIMIT', 0, 16)
    for _, position in ipairs(places) do
      low = position
      if tonumber(call('ZSCORE', K.event_ages, position) or -1) >= since then return position end
    end
    if #places == 0 then return nil end
  end
end

for i = 1, #ARGV, 5 do
  local waiter, name, key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local since, after = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local wait = pack('>I2c0', #name, name) .. key
  local found = first_event(key == '' and K.named_events .. name or K.keyed_events .. wait, since, after)
  if found then
    replies[#replies + 1], replies[#replies + 2] = tonumber(found), call('HGET', K.events, found)
  else
    call('SADD', K.event_waits .. wait, waiter)
    call('SADD', K.event_waits_of .. waiter, wait)
    replies[#replies + 1], replies[#replies + 2] = 0, ''
  end
end
return replies
