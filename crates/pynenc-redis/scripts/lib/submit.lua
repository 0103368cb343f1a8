-- Registers calls. An item is the id, with a due time and an idempotency key behind it if the call has one or the other,
-- and a body: the entry from the status on, as it is for a call that is due at once.

-- The first part of new entries, and the chunk of the listing in which they are.
local function entry_start(time)
  local chunk = tonumber(call('GET', K.chunk) or 0)
  local at = packed_time(time)
  return pack('>BI4', T.layout, chunk) .. at .. NONE .. at, chunk
end

local function add_to_parent(id, raw)
  if not has_flag(raw, HAS_PARENT) then return end
  local record = head_length(raw) + 5
  call('ZADD', K.children .. sub(raw, record, record + 15), '0', id)
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
  if raw then return 'O' .. head_of(raw) end
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
local function submit_call(argument, raw, time)
  local item, due = {id = sub(argument, 1, 16)}, 0
  if #argument > 16 then
    local due_kind, named, rest
    due_kind, due, named, rest = parse('>BI6B', argument, 17)
    due = due_at(due_kind, due, time)
    if due <= time then due = 0 end
    if named == 1 then item.name, item.name_arguments = parse('>I2c0c32', argument, rest) end
  end
  local reg = registration_of(raw)
  local reply = existing_reply(item, reg)
  if reply then return reply end
  add_to_parent(item.id, raw)
  if reg.key then call('HSETNX', K.registration_keys, reg.key, item.id .. reg.arguments) end
  bind_idempotency_key(item, item.id, '1')
  -- Last, because a failure above leaves no invocation.
  changed[item.id] = due > 0 and with_due(raw, due) or raw
  add_count(reg, due > 0 and S.scheduled or S.registered, true, 1)
  return 'N', reg, due
end

-- Writes all items at once if they are new, due at once and without a key. Gives whether it did.
local function submit_plain(start, arguments, ids)
  local values, raws, regs = {}, {}, {}
  for i = 1, #arguments, 2 do
    local id, raw = arguments[i], start .. arguments[i + 1]
    local reg = registration_of(raw)
    if #id > 16 or raws[id] or reg.key then return false end
    ids[#ids + 1], regs[#regs + 1], raws[id] = id, reg, raw
    values[i], values[i + 1] = K.entry .. id, raw
  end
  if call('MSETNX', unpack(values)) == 0 then return false end
  for i, id in ipairs(ids) do
    local reg = regs[i]
    reg.submitted = (reg.submitted or 0) + 1
    if byte(raws[id], F.flags) >= HAS_PARENT then add_to_parent(id, raws[id]) end
    put_ready(reg.queue, id, reg.priority)
  end
  for _, reg in pairs(registrations) do add_count(reg, S.registered, true, reg.submitted) end
  return true
end
