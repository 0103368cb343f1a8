-- Makes transitions. The replies come behind the time.
local time = now()
local replies, ids = {time}, {}
allow_full_memory()
for i = 1, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
prefetch(ids)
for i = 1, #ARGV, 5 do
  replies[#replies + 1] =
    run_item(make_transition, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], time)
end
flush_indexes()
wake_consumers()
return replies
