-- Keeps the record, registers and hints, an item after the other; one that another stands for leaves nothing.
local time, replies, ids = now(), {}, {}
for place = 1, #ARGV, 2 do ids[#ids + 1] = sub(ARGV[place], 1, 16) end
local is_new = are_new(ids)

local function submit_hinted(place)
  local reply, hint = submit_one(ARGV[place], ARGV[place + 1], is_new, time)
  if hint then push_new(hint.queue, sub(ARGV[place], 1, 16), hint.priority, hint.due, time) end
  return reply
end

for place = 1, #ARGV, 2 do replies[#replies + 1] = guarded(submit_hinted, place) end
flush_indexes()
wake_poppers()
return replies
