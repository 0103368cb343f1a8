local all, replies = call('HGETALL', K.runners), {}
for place = 1, #all, 2 do
  local _, _, retired = parse('>I6I6I6', all[place + 1])
  local owned = call('SCARD', K.owned .. all[place])
  if retired == 0 or owned > 0 then
    replies[#replies + 1] = {all[place], all[place + 1], owned, call('HGET', K.introductions, all[place])}
  end
end
return replies
