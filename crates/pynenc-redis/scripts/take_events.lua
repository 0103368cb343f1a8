-- Each listener is its id and the name of its events. An event is the listener's place among them, its own, and what is kept.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local replies = {}
pass_without_memory()

local function offer(place, taken, sequence)
  local kept = call('HGET', K.events, sequence)
  if not kept then
    call('ZREM', taken, sequence)
    return
  end
  call('ZADD', taken, time, sequence)
  replies[#replies + 1], replies[#replies + 2], replies[#replies + 3] = place, tonumber(sequence), kept
end

local function each(listener, name, place)
  local taken = K.taken .. listener
  local late = due_for_another_offer(taken, time, again_after, limit)
  local start = call('HGET', K.listeners, listener)
  local fresh = call('ZRANGEBYSCORE', K.named_events .. name, '(' .. start, '+inf', 'LIMIT', 0, limit - #late)
  for _, sequence in ipairs(late) do offer(place, taken, sequence) end
  for _, sequence in ipairs(fresh) do offer(place, taken, sequence) end
  if #fresh == 0 then return end
  local last = fresh[#fresh]
  call('HSET', K.listeners, listener, last)
  if tonumber(last) > tonumber(call('HGET', K.heard, name) or 0) then call('HSET', K.heard, name, last) end
end

-- All are known before any is offered something, so that those who come together are offered the same.
for place = 3, #ARGV, 2 do
  call('HSETNX', K.listeners, ARGV[place], call('HGET', K.heard, ARGV[place + 1]) or '0')
  call('ZADD', K.listener_ages, time, ARGV[place])
end
for place = 3, #ARGV, 2 do each(ARGV[place], ARGV[place + 1], (place - 3) / 2) end
return replies
