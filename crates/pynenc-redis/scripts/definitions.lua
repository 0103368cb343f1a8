-- Each is its id, whether it stays, whether it is paused, and what was given.
local time, all, replies = now(), call('HGETALL', K.definitions), {}
for place = 1, #all, 2 do
  local till, rest = parse('>I6', all[place + 1])
  if till == 0 or till > time then
    replies[#replies + 1] = all[place]
    replies[#replies + 1] = pack('>BB', till == 0 and 1 or 0, call('SISMEMBER', K.paused, all[place])) .. sub(all[place + 1], rest)
  else
    call('HDEL', K.definitions, all[place])
  end
end
return replies
