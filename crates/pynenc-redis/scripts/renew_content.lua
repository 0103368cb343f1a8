-- Reports which content is stored, and extends its lifetime. Fresh content was stored just now.
local millis, is_fresh, replies = tonumber(ARGV[1]), ARGV[2] == '1', {}
allow_full_memory()
for i = 3, #ARGV do
  local is_stored = is_fresh or time_left(ARGV[i]) > 0
  if is_stored then keep_content(ARGV[i], millis) end
  replies[#replies + 1] = is_stored and 1 or 0
end
return replies
