-- Keeps the outcome, makes the transition, and hints what it puts into queues. An item has its transition, its outcome
-- and the hint of what goes back.
local time, replies = now(), {}
pass_without_memory()

local ids, keys = {}, {}
for place = 1, #ARGV, 3 do
  ids[#ids + 1] = sub(ARGV[place], 1, 16)
  if ARGV[place + 1] ~= '' then keys[#keys + 1] = K.outcomes .. ids[#ids] end
end
fetch(ids)
local is_new = #keys == 0 or call('EXISTS', unpack(keys)) == 0

local function push_back(id, hint)
  local e = hint ~= '' and read(id)
  if not e or not is_queued(e) then return end
  local priority = parse('>I2', hint)
  push(sub(hint, 3), id, priority, e[E.due], time)
end

-- Who was handed a slot goes before what was there first.
local function push_entry(handed)
  local e = parsed(sub(handed, 17))
  push(e[E.queue], sub(handed, 1, 16), T.raised, e[E.due], time)
end

local function settle(place)
  if ARGV[place + 1] ~= '' then put_outcome(ARGV[place + 1], is_new) end
  local reply, handed = transition(ARGV[place], time)
  if not handed then return {reply} end
  push_back(sub(ARGV[place], 1, 16), ARGV[place + 2])
  for _, head in ipairs(handed) do push_entry(head) end
  return reply_with(reply, handed)
end

for place = 1, #ARGV, 3 do replies[#replies + 1] = guarded(settle, place) end
put_outcomes()
flush_indexes()
wake_poppers()
return replies
