local changed = call(ARGV[2] == '1' and 'SADD' or 'SREM', K.paused, ARGV[1])
if changed == 1 then call('PUBLISH', K.news, 'D') end
return true
