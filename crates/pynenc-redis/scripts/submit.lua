-- Keeps the record, registers and hints, an item after the other; one that another stands for leaves nothing.
local time, replies, ids = now(), {}, {}
for place = 1, #ARGV, 2 do ids[#ids + 1] = sub(ARGV[place], 1, 16) end
local is_new = are_new(ids)
-- What was accepted of what is new, by all but its id.
local accepted = {}

local function submit_anew(item, record)
  local it = registration(item)
  local reply, is_accepted = submit(it, record, is_new, time)
  if not is_accepted then return reply end
  local priority = parse('>I2', it.facts, 3)
  push_new(it.queue, it.id, priority, it.at_once_or, time)
  local is_plain = is_new and it.at_once_or == 0 and not it.key and not it.name
  accepted[sub(item, 17)] = is_plain and {reply, changed[it.id], it.queue, counter(true, S.registered, it.queue), priority}
  return reply
end

local function submit_again(like, id, record)
  local reply, entry, queue, counted_as, priority = unpack(like)
  put_record(id, record, true)
  changed[id] = entry
  place_new(id, time)
  count(counted_as, 1)
  put_ready(queue, id, priority)
  return reply
end

local function submit_one(place)
  local item, record = ARGV[place], ARGV[place + 1]
  local id, like = sub(item, 1, 16), accepted[sub(item, 17)]
  if not like or changed[id] then return submit_anew(item, record) end
  return submit_again(like, id, record)
end
for place = 1, #ARGV, 2 do replies[#replies + 1] = guarded(submit_one, place) end
flush_records()
flush_indexes()
wake_poppers()
return replies
