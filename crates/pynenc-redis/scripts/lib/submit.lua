-- Registers calls. A call has two arguments: the item, which is the id, and behind it a due time and an idempotency key if
-- the call has one or the other; and the record behind its length. Calls whose entries have the same head come together:
-- first the head from the status on, as it is for calls that are due at once, and the number of the calls.
local new_starts = {}

-- The first bytes of new entries with a head, and their registration.
local function new_start(head, time, chunk)
  local start = new_starts[head]
  if not start then
    local full, at = string.char(T.layout) .. head, packed_time(time)
    start = {
      bytes = full .. at .. NONE .. at .. pack('>I4', chunk), reg = registration_of(full), submitted = 0,
      has_parent = byte(full, F.flags) >= HAS_PARENT,
    }
    new_starts[head] = start
  end
  return start
end

-- The chunk of the listing for new invocations.
local function present_chunk()
  return tonumber(call('GET', K.chunk) or 0)
end

local function add_to_parent(id, rest)
  call('ZADD', K.children .. parent_in(rest), '0', id)
end

-- Binds the call's idempotency key to the invocation 'id', which may be another call's.
local function bind_idempotency_key(item, id, same_arguments)
  if not item.name then return end
  call('HSETNX', K.idempotency_keys, item.name, id .. item.name_arguments .. same_arguments)
  call('SADD', K.idempotency_keys_of .. id, item.name)
  local raw = id ~= item.id and entry(id)
  if raw and not has_flag(raw, NAMED) then set_flag(id, raw, NAMED) end
end

-- The reply if an invocation stands for the call already.
local function existing_reply(item, reg)
  local raw = entry(item.id)
  if raw then return 'O' .. start_of(raw) end
  local bound = item.name and call('HGET', K.idempotency_keys, item.name)
  if bound then
    local id, arguments, same_arguments = parse('>c16c32c1', bound)
    return arguments == item.name_arguments and 'W' .. id .. same_arguments or 'C' .. id
  end
  local waiting = reg.key and call('HGET', K.registration_keys, reg.key)
  if not waiting then return nil end
  local id, arguments = parse('>c16c32', waiting)
  local same_arguments = arguments == reg.arguments and '1' or '0'
  bind_idempotency_key(item, id, same_arguments)
  return 'W' .. id .. same_arguments
end

-- Writes the due time of a call that isn't due yet into its new entry.
local function with_due(raw, due)
  local flags = string.char(bit.bor(byte(raw, F.flags), SCHEDULED))
  return sub(raw, 1, F.status - 1) .. string.char(S.scheduled) .. sub(raw, F.reason, F.due - 1) .. pack('>I6', due)
    .. NONE .. flags .. sub(raw, F.registration_length)
end

-- Registers a call, unless an invocation stands for it. Gives the reply, and for a new one its registration and due time.
local function submit_call(argument, start, rest, time)
  local item, due = {id = sub(argument, 1, 16)}, 0
  if #argument > 16 then
    local due_kind, named, position
    due_kind, due, named, position = parse('>BI6B', argument, 17)
    due = due_at(due_kind, due, time)
    if due <= time then due = 0 end
    if named == 1 then item.name, item.name_arguments = parse('>I2c0c32', argument, position) end
  end
  local reg = start.reg
  local reply = existing_reply(item, reg)
  if reply then return reply end
  if start.has_parent then add_to_parent(item.id, rest) end
  if reg.key then call('HSETNX', K.registration_keys, reg.key, item.id .. reg.arguments) end
  bind_idempotency_key(item, item.id, '1')
  -- Last, because a failure above leaves no invocation.
  local raw = start.bytes .. rest
  replace_entry(item.id, due > 0 and with_due(raw, due) or raw)
  add_count(reg, due > 0 and S.scheduled or S.registered, true, 1)
  return 'N', reg, due
end

-- Calls a function with the head, the item and the record of each call.
local function for_each_call(arguments, visit)
  local first = 1
  while first < #arguments do
    local last = first + 1 + 2 * arguments[first + 1]
    for i = first + 2, last, 2 do visit(arguments[first], arguments[i], arguments[i + 1]) end
    first = last + 1
  end
end

-- Writes all calls at once if they are new, due at once and without a key. Gives whether it did.
local function submit_plain(arguments, ids, time, chunk)
  local values, known, count, is_plain = {}, {}, 0, true
  for_each_call(arguments, function(head, id, rest)
    local start = new_start(head, time, chunk)
    is_plain = is_plain and #id == 16 and not known[id] and not start.reg.key
    count, known[id] = count + 1, start
    ids[count], values[2 * count - 1], values[2 * count] = id, K.entry .. id, start.bytes .. rest
  end)
  if not is_plain or call('MSETNX', unpack(values)) == 0 then return false end
  for i, id in ipairs(ids) do
    local start = known[id]
    start.submitted = start.submitted + 1
    if start.has_parent then add_to_parent(id, rest_of(values[2 * i])) end
    put_ready(start.reg.queue, id, start.reg.priority)
  end
  for _, start in pairs(new_starts) do add_count(start.reg, S.registered, true, start.submitted) end
  return true
end
