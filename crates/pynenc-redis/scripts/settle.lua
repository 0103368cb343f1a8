-- Stores outcomes, makes transitions, and pushes hints for the invocations that a transition queues. An item is a
-- transition, its outcome or nothing, and the hint if the invocation returns to its queue.
local time, replies = now(), {}
allow_full_memory()

local ids, keys = {}, {}
for i = 1, #ARGV, 3 do
  ids[#ids + 1] = sub(ARGV[i], 1, 16)
  if ARGV[i + 1] ~= '' then keys[#keys + 1] = K.outcomes .. ids[#ids] end
end
prefetch(ids)
local is_new = #keys == 0 or call('EXISTS', unpack(keys)) == 0

local function requeue(id, hint)
  local e = hint ~= '' and read_entry(id)
  if not e or not is_queued(e) then return end
  local priority = parse('>I2', hint)
  push_hint(sub(hint, 3), id, priority, e[E.due], time)
end

-- The hint for an invocation that was handed a slot goes before the other hints.
local function push_handed(handed)
  local e = parse_entry(sub(handed, 17))
  push_hint(e[E.queue], sub(handed, 1, 16), T.raised, e[E.due], time)
end

local function settle(i)
  if ARGV[i + 1] ~= '' then put_outcome(ARGV[i + 1], is_new) end
  local reply, handed = make_transition(ARGV[i], time)
  if not handed then return {reply} end
  requeue(sub(ARGV[i], 1, 16), ARGV[i + 2])
  for _, item in ipairs(handed) do push_handed(item) end
  return reply_with(reply, handed)
end

for i = 1, #ARGV, 3 do replies[#replies + 1] = run_item(settle, i) end
flush_outcomes()
flush_indexes()
wake_consumers()
return replies
