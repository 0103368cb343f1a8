local time = now()
for place = 1, #ARGV, 2 do
  if put_record(ARGV[place], ARGV[place + 1]) then call('ZADD', K.aged, int(time), ARGV[place]) end
end
return true
