-- Of several lives of one definition the longest counts: one that was added to stay isn't cut short. 0 is for ever.
local time, length, is_news = now(), tonumber(ARGV[1]), false
for place = 2, #ARGV, 2 do
  local till = length < 0 and 0 or time + length
  local before = call('HGET', K.definitions, ARGV[place])
  local lived = before and parse('>I6', before)
  if not before or (lived > 0 and lived <= time) or sub(before, 7) ~= ARGV[place + 1] then is_news = true end
  if lived == 0 then till = 0 elseif lived and till > 0 and lived > till then till = lived end
  call('HSET', K.definitions, ARGV[place], pack('>I6', till) .. ARGV[place + 1])
end
if is_news then call('PUBLISH', K.news, 'D') end
return true
