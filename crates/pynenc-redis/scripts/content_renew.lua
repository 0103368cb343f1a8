-- Tells which content is there, and keeps that; what is fresh was written just now.
local millis, is_fresh, replies = tonumber(ARGV[1]), ARGV[2] == '1', {}
pass_without_memory()
for place = 3, #ARGV do
  local is_there = is_fresh or left(ARGV[place]) > 0
  if is_there then keep(ARGV[place], millis) end
  replies[#replies + 1] = is_there and 1 or 0
end
return replies
