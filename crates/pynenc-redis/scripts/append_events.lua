-- An event is its name and its encoded rest.
local time, replies = now(), {}
for place = 1, #ARGV, 2 do
  local sequence = call('INCR', K.event_last)
  call('HSET', K.events, sequence, pack('>I6I2c0', time, #ARGV[place], ARGV[place]) .. ARGV[place + 1])
  call('ZADD', K.named_events .. ARGV[place], sequence, sequence)
  call('ZADD', K.event_ages, time, sequence)
  replies[#replies + 1] = sequence
end
call('PUBLISH', K.news, 'T')
return replies
