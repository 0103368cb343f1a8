local schedule, from, to = ARGV[1], ARGV[2], ARGV[3]
if (call('HGET', K.watermarks, schedule) or '') ~= from then return 0 end
call('HSET', K.watermarks, schedule, to)
return 1
