-- Makes transitions. The replies come behind the time.
local time = now()
local replies, ids = {time}, {}
allow_full_memory()

local function transition(item)
  local reply, handed, raw, reg = make_transition(item, '', time)
  if not handed then return reply end
  push_own_hint(sub(item, 1, 16), raw, reg, time)
  return reply_with(reply, handed)
end

for i = 1, #ARGV do ids[i] = sub(ARGV[i], 1, 16) end
prefetch(ids)
for i = 1, #ARGV do replies[#replies + 1] = run_item(transition, ARGV[i]) end
flush_indexes()
wake_consumers()
return replies
