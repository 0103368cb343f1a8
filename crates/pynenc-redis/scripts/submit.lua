-- Stores records, registers invocations and pushes their hints. If another invocation stands for a call, the call
-- leaves nothing.
local time, replies, ids = now(), {}, {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = sub(ARGV[i], 1, 16) end
local is_new = are_new(ids)

local function submit(i)
  local reply, hint = submit_call(ARGV[i], ARGV[i + 1], is_new, time)
  if hint then push_new_hint(hint.queue, sub(ARGV[i], 1, 16), hint.priority, hint.due, time) end
  return reply
end

for i = 1, #ARGV, 2 do replies[#replies + 1] = run_item(submit, i) end
flush_indexes()
wake_consumers()
return replies
