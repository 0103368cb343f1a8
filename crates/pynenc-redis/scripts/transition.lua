local time, replies = now(), {}
local ids = {}
allow_full_memory()
for i = 1, #ARGV do ids[i] = sub(ARGV[i], 1, 16) end
prefetch(ids)
for i = 1, #ARGV do
  replies[i] = run_item(function()
    local reply, handed = make_transition(ARGV[i], time)
    return reply_with(reply, handed)
  end)
end
flush_indexes()
return replies
