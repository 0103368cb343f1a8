-- Keeps, registers and hints what nothing stands for; gives the registration, its answer, and whether it is new.
local function submit(it, record, is_new, time)
  local reply = standing(it, is_new)
  if reply and byte(reply) ~= 79 then return reply, false end
  put_record(it.id, record, is_new)
  if reply then return reply, false end
  return accept(it, time), true
end

-- Whether none of the invocations is known in any way.
local function are_new(ids)
  local keys = {}
  for _, id in ipairs(ids) do keys[#keys + 1], keys[#keys + 2] = K.entry .. id, K.record .. id end
  return are_free(keys)
end

-- How what was registered is registered again under another id, at another time: its place in the order and its line of
-- history have the time too.
local function registering(entry, hint)
  return {
    head = sub(entry, 1, 31),
    tail = sub(entry, 38, FACTS - 1),
    rest = {'', sub(entry, FACTS + 6, -12), sub(entry, -5)},
    counted = counter(true, S.registered, hint.queue),
    queue = hint.queue,
    priority = hint.priority,
    due = 0,
  }
end

local function register_again(step, id, record, time)
  if step.time ~= time then
    local at = stamped(time)
    step.time, step.start = time, step.head .. at .. step.tail
    step.entry = step.start .. table.concat(step.rest, at)
  end
  put_record(id, record, true)
  changed[id] = step.entry
  place_new(id, time)
  count(step.counted, 1)
  return 'N' .. step.start
end

-- Submits a call. Gives the answer, and where the hint of what is new belongs.
local function submit_one(item, record, is_new, time)
  local id, asked = sub(item, 1, 16), sub(item, 17)
  -- At once, without keys and a name: what is asked is what is asked of many.
  local is_plain = is_new and not changed[id] and byte(asked) == 0 and sub(asked, 8, 9) == '\0\0' and byte(asked, 12) == 0
  local step = is_plain and lasting.registrations[asked]
  if step then return register_again(step, id, record, time), step end
  local it = registration(item)
  local reply, is_accepted = submit(it, record, is_new, time)
  if not is_accepted then return reply end
  local hint = {queue = it.queue, priority = parse('>I2', it.facts, 3), due = it.at_once_or}
  if is_plain then
    note_one()
    lasting.registrations[asked] = registering(changed[id], hint)
  end
  return reply, hint
end
