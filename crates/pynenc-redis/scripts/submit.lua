-- Keeps the record, registers and hints, an item after the other; one that another stands for leaves nothing.
local time, replies, ids = now(), {}, {}
for place = 1, #ARGV, 2 do ids[#ids + 1] = sub(ARGV[place], 1, 16) end
local is_new = are_new(ids)

local function submit_one(place)
  local it = registration(ARGV[place])
  local reply, is_accepted = submit(it, ARGV[place + 1], is_new, time)
  if is_accepted then push_new(it.queue, it.id, parse('>I2', it.facts, 3), it.at_once_or, time) end
  return reply
end
for place = 1, #ARGV, 2 do replies[#replies + 1] = guarded(submit_one, place) end
flush_records()
flush_indexes()
wake_poppers()
return replies
