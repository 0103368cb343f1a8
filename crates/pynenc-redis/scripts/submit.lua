-- Keeps the record, registers and hints, an item after the other; one that another stands for leaves nothing.
local time, replies, keys = now(), {}, {}
for place = 1, #ARGV, 2 do
  local id = sub(ARGV[place], 1, 16)
  keys[#keys + 1], keys[#keys + 2] = K.entry .. id, K.record .. id
end
local is_new = are_free(keys)

local function submit(place)
  local it, record = registration(ARGV[place]), ARGV[place + 1]
  local reply = standing(it, is_new)
  if reply and byte(reply) ~= 79 then return reply end
  put_record(it.id, record, is_new)
  if reply then return reply end
  reply = accept(it, time)
  push_new(it.queue, it.id, parse('>I2', it.facts, 3), it.at_once_or, time)
  return reply
end
for place = 1, #ARGV, 2 do replies[#replies + 1] = guarded(submit, place) end
flush_records()
flush_indexes()
wake_poppers()
return replies
