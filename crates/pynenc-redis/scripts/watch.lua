-- Answers what has ended, and writes down whom to tell of the rest.
local channel, replies = ARGV[1], {}
pass_without_memory()
fetch({unpack(ARGV, 2)})
for place = 2, #ARGV do
  local id = ARGV[place]
  local e = read(id)
  if not e then
    replies[#replies + 1] = false
  elseif is(T.final, e[E.status]) then
    replies[#replies + 1] = written(e)
  else
    add_watcher(id, e, channel)
    replies[#replies + 1] = 1
  end
end
flush_entries()
return replies
