local schedule, from, to = ARGV[1], ARGV[2], ARGV[3]
if tonumber(to) > now() or call('HGET', K.watermarks, schedule) ~= from then return 0 end
call('HSET', K.watermarks, schedule, to)
return 1
