-- The runners that are alive, or retired and still owners: the id, the stored state, the number of owned invocations,
-- and the introduction.
local all, replies = call('HGETALL', K.runners), {}
for i = 1, #all, 2 do
  local _, _, retired = parse('>I6I6I6', all[i + 1])
  local owned = call('SCARD', K.owned .. all[i])
  if retired == 0 or owned > 0 then
    replies[#replies + 1] = {all[i], all[i + 1], owned, call('HGET', K.introductions, all[i])}
  end
end
return replies
