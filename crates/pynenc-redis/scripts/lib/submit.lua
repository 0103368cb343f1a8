-- Stores and registers a call, unless an invocation stands for it. Gives the reply, and whether the invocation is new.
local function submit_uncached(item, record, is_new, time)
  local reply = existing_reply(item, is_new)
  if reply and byte(reply) ~= 79 then return reply, false end
  put_record(item.id, record, is_new)
  if reply then return reply, false end
  return register_new(item, time), true
end

-- Whether none of the invocations has an entry or a record.
local function are_new(ids)
  local keys = {}
  for _, id in ipairs(ids) do keys[#keys + 1], keys[#keys + 2] = K.entry .. id, K.record .. id end
  return none_exist(keys)
end

-- The parts of an entry from which the same registration is made under another id, at another time. The header, the
-- order of registration and the line of history contain the time.
local function registration_template(entry, hint)
  return {
    head = sub(entry, 1, 31),
    tail = sub(entry, 38, REGISTRATION - 1),
    rest = {'', sub(entry, REGISTRATION + 6, -12), sub(entry, -5)},
    counted = count_field(true, S.registered, hint.queue),
    queue = hint.queue,
    priority = hint.priority,
    due = 0,
  }
end

local function register_from_template(template, id, record, time)
  if template.time ~= time then
    local at = packed_time(time)
    template.time, template.start = time, template.head .. at .. template.tail
    template.entry = template.start .. table.concat(template.rest, at)
  end
  put_record(id, record, true)
  changed[id] = template.entry
  index_new(id, time)
  add_to_count(template.counted, 1)
  return 'N' .. template.start
end

-- Submits a call. Gives the reply, and the hint to push if the invocation is new.
local function submit_call(item, record, is_new, time)
  local id, request = sub(item, 1, 16), sub(item, 17)
  -- Many calls have the same request: due at once, without keys.
  local is_plain = is_new and not changed[id]
    and byte(request) == 0 and sub(request, 8, 9) == '\0\0' and byte(request, 12) == 0
  local template = is_plain and cache.registrations[request]
  if template then return register_from_template(template, id, record, time), template end
  local parsed = parse_registration(item)
  local reply, is_accepted = submit_uncached(parsed, record, is_new, time)
  if not is_accepted then return reply end
  local hint = {queue = parsed.queue, priority = parse('>I2', parsed.registration, 3), due = parsed.due_time}
  if is_plain then
    make_room()
    cache.registrations[request] = registration_template(changed[id], hint)
  end
  return reply, hint
end
