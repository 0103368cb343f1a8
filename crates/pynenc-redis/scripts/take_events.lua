-- Acknowledges events, each a listener and a position, then offers others. A listener is its id and the name of its
-- events. An offer is the listener's index in the request, the event's position, and the stored event.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local listeners = 4 + 2 * tonumber(ARGV[3])
local replies = {}
allow_full_memory()
for i = 4, listeners - 1, 2 do call('ZREM', K.offered_events .. ARGV[i], ARGV[i + 1]) end
if limit == 0 then return replies end

local function offer(index, offered, sequence)
  local stored = call('HGET', K.events, sequence)
  if not stored then
    call('ZREM', offered, sequence)
    return
  end
  call('ZADD', offered, time, sequence)
  replies[#replies + 1], replies[#replies + 2], replies[#replies + 3] = index, tonumber(sequence), stored
end

local function offer_events(listener, name, index)
  local offered = K.offered_events .. listener
  local again = due_offers(offered, time, again_after, limit)
  local start = call('HGET', K.listeners, listener)
  local new = call('ZRANGEBYSCORE', K.named_events .. name, '(' .. start, '+inf', 'LIMIT', 0, limit - #again)
  for _, sequence in ipairs(again) do offer(index, offered, sequence) end
  for _, sequence in ipairs(new) do offer(index, offered, sequence) end
  if #new == 0 then return end
  local last = new[#new]
  call('HSET', K.listeners, listener, last)
  local last_offered = tonumber(call('HGET', K.last_offered, name) or 0)
  if tonumber(last) > last_offered then call('HSET', K.last_offered, name, last) end
end

-- All listeners become known before any is offered events, so new listeners of one request are offered the same events.
for i = listeners, #ARGV, 2 do
  call('HSETNX', K.listeners, ARGV[i], call('HGET', K.last_offered, ARGV[i + 1]) or '0')
  call('ZADD', K.listener_ages, time, ARGV[i])
end
for i = listeners, #ARGV, 2 do offer_events(ARGV[i], ARGV[i + 1], (i - listeners) / 2) end
return replies
