-- Answers what has ended, and writes down whom to tell of the rest.
local channel, replies = ARGV[1], {}
pass_without_memory()
fetch({unpack(ARGV, 2)})
for place = 2, #ARGV do
  local id = ARGV[place]
  local raw = text(id)
  if not raw then
    replies[#replies + 1] = false
  elseif is(T.final, byte(raw, 2)) then
    replies[#replies + 1] = sub(raw, 1, FACTS - 1)
  else
    add_watcher(id, raw, channel)
    replies[#replies + 1] = 1
  end
end
flush_entries()
return replies
