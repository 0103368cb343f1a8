-- What was put long enough ago, behind a place, and whether there is more.
local age, after, id_after, limit = parse('>I6I6c16I4', ARGV[1])
local till = now() - age
local low = call('ZCOUNT', K.aged, '-inf', '(' .. after)
local high = low + call('ZCOUNT', K.aged, after, after)
while low < high do
  local middle = math.floor((low + high) / 2)
  if call('ZRANGE', K.aged, middle, middle)[1] <= id_after then low = middle + 1 else high = middle end
end
local replies = {}
local members = call('ZRANGE', K.aged, low, low + limit, 'WITHSCORES')
for place = 1, #members, 2 do
  if tonumber(members[place + 1]) <= till then replies[#replies + 1] = pack('>I6', members[place + 1]) .. members[place] end
end
return replies
