-- Gives the headers of finished invocations, and records the channel on the others. An unknown one gives false.
local channel, replies = ARGV[1], {}
allow_full_memory()
prefetch({unpack(ARGV, 2)})
for i = 2, #ARGV do
  local id = ARGV[i]
  local raw = raw_entry(id)
  if not raw then
    replies[#replies + 1] = false
  elseif contains(T.final, byte(raw, 2)) then
    replies[#replies + 1] = sub(raw, 1, REGISTRATION - 1)
  else
    add_watcher(id, raw, channel)
    replies[#replies + 1] = 1
  end
end
flush_entries()
return replies
