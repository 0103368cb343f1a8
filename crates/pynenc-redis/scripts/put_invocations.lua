local time = now()
for i = 1, #ARGV, 2 do
  if put_record(ARGV[i], ARGV[i + 1]) then call('ZADD', K.record_ages, int(time), ARGV[i]) end
end
return true
