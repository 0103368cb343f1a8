-- Makes transitions with their outcomes, and pushes hints for the invocations that a transition queues. An item is a
-- transition, the outcome as the log stores it or nothing, and the priority and the earliest time of the hint if the
-- invocation returns to its queue. The replies come behind the time.
local time = now()
local replies, ids = {time}, {}
allow_full_memory()

local function settle(i)
  local reply, handed, raw, reg = make_transition(ARGV[i], ARGV[i + 1], time)
  if not handed then return reply end
  if ARGV[i + 2] ~= '' and is_entry_queued(raw) then
    local priority, not_before = parse('>I2I6', ARGV[i + 2])
    push_hint(reg.queue, sub(ARGV[i], 1, 16), priority, math.max(due_of(raw), not_before), time)
  end
  if #handed == 0 then return reply end
  return reply_with(reply, handed)
end

for i = 1, #ARGV, 3 do ids[#ids + 1] = sub(ARGV[i], 1, 16) end
prefetch(ids)
for i = 1, #ARGV, 3 do replies[#replies + 1] = run_item(settle, i) end
flush_indexes()
wake_consumers()
return replies
