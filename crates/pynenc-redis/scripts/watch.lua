-- Gives the headers of finished invocations, and records the channel on the others. An unknown one gives false.
local channel, replies = ARGV[1], {}
allow_full_memory()
prefetch({unpack(ARGV, 2)})
for i = 2, #ARGV do
  local id = ARGV[i]
  local raw = readable_entry(id)
  if not raw then
    replies[#replies + 1] = false
  elseif contains(T.final, status_of(raw)) then
    replies[#replies + 1] = start_of(raw)
  else
    add_watcher(id, raw, channel)
    replies[#replies + 1] = 1
  end
end
flush_entries()
return replies
