-- Each listener is its id and the name of its events. An event is the listener's place among them, its own, and what is kept.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local replies, left = {}, limit
pass_without_memory()

local function offer(listener, place, taken, sequence)
  local kept = call('HGET', K.events, sequence)
  if not kept then
    call('ZREM', taken, sequence)
    return
  end
  call('ZADD', taken, time, sequence)
  replies[#replies + 1], replies[#replies + 2], replies[#replies + 3] = place, tonumber(sequence), kept
  left = left - 1
end

local function each(listener, name, place)
  local taken = K.taken .. listener
  local start = call('HGET', K.listeners, listener) or call('HGET', K.heard, name) or '0'
  call('ZADD', K.listener_ages, time, listener)
  for _, sequence in ipairs(call('ZRANGEBYSCORE', taken, '-inf', time - again_after, 'LIMIT', 0, left)) do
    offer(listener, place, taken, sequence)
  end
  local fresh = {}
  if left > 0 then fresh = call('ZRANGEBYSCORE', K.named_events .. name, '(' .. start, '+inf', 'LIMIT', 0, left) end
  for _, sequence in ipairs(fresh) do offer(listener, place, taken, sequence) end
  local last = fresh[#fresh] or start
  call('HSET', K.listeners, listener, last)
  if #fresh > 0 and tonumber(last) > tonumber(call('HGET', K.heard, name) or 0) then call('HSET', K.heard, name, last) end
end

for place = 3, #ARGV, 2 do
  if left > 0 then each(ARGV[place], ARGV[place + 1], (place - 3) / 2) end
end
return replies
