local time, all, replies = now(), call('HGETALL', K.definitions), {}
for place = 1, #all, 2 do
  local till, rest = parse('>I6', all[place + 1])
  if till == 0 or till > time then
    replies[#replies + 1] = all[place]
    replies[#replies + 1] = sub(all[place + 1], rest)
  else
    call('HDEL', K.definitions, all[place])
  end
end
return replies
