-- Keeps the record, registers and hints, an item after the other; one that another stands for leaves nothing.
local time, replies = now(), {}
local function submit(place)
  local it, record = registration(ARGV[place]), ARGV[place + 1]
  local reply = standing(it)
  if reply and byte(reply) ~= 79 then return reply end
  put_record(it.id, record)
  if reply then return reply end
  reply = accept(it, time)
  push_new(it.queue, it.id, parse('>I2', it.facts, 3), it.at_once_or, time)
  return reply
end
for place = 1, #ARGV, 2 do replies[#replies + 1] = guarded(submit, place) end
flush_indexes()
wake_poppers()
return replies
