-- An event is its name, its key behind a mark if it has one, and its encoded rest.
local time, replies = now(), {}

-- Those who wait for it make a heap, which is gone through by those who are awoken: however many they are, it costs the
-- same here.
local function awake(line)
  if call('EXISTS', K.event_waits .. line) == 0 then return end
  local heap = pack('>I6', call('INCR', K.heap_last))
  call('RENAME', K.event_waits .. line, K.heap .. heap)
  call('RPUSH', K.heaps, heap .. line)
end

for place = 1, #ARGV, 3 do
  local name, key = ARGV[place], ARGV[place + 1]
  local line = pack('>I2c0', #name, name)
  local sequence = call('INCR', K.event_last)
  call('HSET', K.events, sequence, pack('>I6', time) .. line .. ARGV[place + 2])
  call('ZADD', K.named_events .. name, sequence, sequence)
  if key ~= '' then
    call('ZADD', K.keyed_events .. line .. key, sequence, sequence)
    awake(line .. key)
  end
  awake(line)
  call('ZADD', K.event_ages, time, sequence)
  replies[#replies + 1] = sequence
end
call('PUBLISH', K.news, 'T')
return replies
