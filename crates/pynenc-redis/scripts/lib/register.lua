-- Parses an item: the id, the due time, the idempotency key, and the registration as entries store it.
local function parse_registration(item)
  local id, due_kind, due, is_keyed, is_named, registration, rest = parse('>c16BI6BBI2c0', item)
  local parsed = {id = id, due_kind = due_kind, due = due, registration = registration}
  if is_keyed == 1 then parsed.key, parsed.arguments = sub(registration, -64, -33), sub(registration, -32) end
  if is_named == 1 then parsed.name, parsed.name_arguments = parse('>I2c0c32', item, rest) end
  return parsed
end

-- Binds the call's idempotency key to the invocation 'id', which may be another call's.
local function bind_idempotency_key(item, id, same_arguments)
  if not item.name then return end
  call('HSETNX', K.idempotency_keys, item.name, id .. item.name_arguments .. same_arguments)
  call('SADD', K.idempotency_keys_of .. id, item.name)
  local e = id ~= item.id and read_entry(id)
  if not e then return end
  e[E.has_idempotency_key] = 1
  write_entry(id, e, '')
end

-- Whether none of the keys exists, with a value of any type.
local function none_exist(keys)
  return call('EXISTS', unpack(keys)) == 0
end

-- The reply if an invocation stands for the call already. Where all ids are known to be new, their entries aren't read.
local function existing_reply(item, is_new)
  local may_exist = changed[item.id] or not is_new
  local e = may_exist and read_entry(item.id)
  if e then return 'O' .. e[E.raw] end
  local bound = item.name and call('HGET', K.idempotency_keys, item.name)
  if bound then
    local id, arguments, same_arguments = parse('>c16c32c1', bound)
    return arguments == item.name_arguments and 'W' .. id .. same_arguments or 'C' .. id
  end
  local waiting = item.key and call('HGET', K.registration_keys, item.key)
  if not waiting then return nil end
  local id, arguments = parse('>c16c32', waiting)
  local same_arguments = arguments == item.arguments and '1' or '0'
  bind_idempotency_key(item, id, same_arguments)
  return 'W' .. id .. same_arguments
end

local function register_new(item, time)
  local due = due_at(item.due_kind, item.due, time)
  local status = due > time and S.scheduled or S.registered
  if due <= time then due = 0 end
  local is_named = item.name and 1 or 0
  local header = pack(HEADER_FORMAT, 1, status, R.submitted, 0, 0, is_named, 0, 1, 0, 0, 0, 0, 0, time, due, NONE, NONE)
  local line = pack('>BBI6I4B', status, R.submitted, time, 0, 0)
  changed[item.id] = header .. pack('>I6I2', time, #item.registration) .. item.registration .. line
  index_new(item.id, time)
  item.queue = parse('>I2c0', item.registration, 17)
  add_to_count(count_field(true, status, item.queue), 1)
  if item.key then call('HSETNX', K.registration_keys, item.key, item.id .. item.arguments) end
  bind_idempotency_key(item, item.id, '1')
  item.due_time = due
  return 'N' .. header
end
