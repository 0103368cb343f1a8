-- Appends events. An event is its name, its key behind a mark or nothing, and the encoded rest.
local time, replies = now(), {}

-- The waiters for an event become a batch, from which take_ready offers them. So an append costs the same for any
-- number of waiters.
local function batch_waiters(wait)
  if call('EXISTS', K.event_waits .. wait) == 0 then return end
  local batch = pack('>I6', call('INCR', K.ready_batch_last))
  call('RENAME', K.event_waits .. wait, K.ready_batch .. batch)
  call('RPUSH', K.ready_batches, batch .. wait)
end

for i = 1, #ARGV, 3 do
  local name, key = ARGV[i], ARGV[i + 1]
  local wait = pack('>I2c0', #name, name)
  local sequence = call('INCR', K.event_last)
  call('HSET', K.events, sequence, pack('>I6', time) .. wait .. ARGV[i + 2])
  call('ZADD', K.named_events .. name, sequence, sequence)
  if key ~= '' then
    call('ZADD', K.keyed_events .. wait .. key, sequence, sequence)
    batch_waiters(wait .. key)
  end
  batch_waiters(wait)
  call('ZADD', K.event_ages, time, sequence)
  replies[#replies + 1] = sequence
end
call('PUBLISH', K.notifications, 'T')
return replies
