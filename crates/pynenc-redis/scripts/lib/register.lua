-- An item: its id, when it is due, its idempotency key, and its facts as they are kept.
local function registration(item)
  local id, due_kind, due, is_keyed, is_named, facts, rest = parse('>c16BI6BBI2c0', item)
  local it = {id = id, due_kind = due_kind, due = due, facts = facts}
  if is_keyed == 1 then it.key, it.arguments = sub(facts, -64, -33), sub(facts, -32) end
  if is_named == 1 then it.name, it.named = parse('>I2c0c32', item, rest) end
  return it
end

-- Lets the call's own name stand for `id`, which may be another call's.
local function bind(it, id, same)
  if not it.name then return end
  call('HSETNX', K.names, it.name, id .. it.named .. same)
  call('SADD', K.named .. id, it.name)
  local e = id ~= it.id and read(id)
  if not e then return end
  e[E.named] = 1
  write(id, e, '')
end

-- Whether none of the keys of a list has a value, of whatever kind.
local function are_free(keys)
  return call('EXISTS', unpack(keys)) == 0
end

-- The answer of what stands for the call already. Where all ids are known to be new, the store isn't asked for each.
local function standing(it, is_new)
  local known = changed[it.id] or not is_new
  local e = known and read(it.id)
  if e then return 'O' .. e[E.raw] end
  local named = it.name and call('HGET', K.names, it.name)
  if named then
    local id, arguments, same = parse('>c16c32c1', named)
    return arguments == it.named and 'W' .. id .. same or 'C' .. id
  end
  local holder = it.key and call('HGET', K.waiting, it.key)
  if not holder then return nil end
  local id, arguments = parse('>c16c32', holder)
  local same = arguments == it.arguments and '1' or '0'
  bind(it, id, same)
  return 'W' .. id .. same
end

local function accept(it, time)
  local due = due_at(it.due_kind, it.due, time)
  local status = due > time and S.scheduled or S.registered
  if due <= time then due = 0 end
  local named = it.name and 1 or 0
  local start = pack(HEADER, 1, status, R.submitted, 0, 0, named, 0, 1, 0, 0, 0, 0, 0, time, due, NONE, NONE)
  local line = pack('>BBI6I4B', status, R.submitted, time, 0, 0)
  changed[it.id] = start .. pack('>I6I2', time, #it.facts) .. it.facts .. line
  place_new(it.id, time)
  it.queue = parse('>I2c0', it.facts, 17)
  count(counter(true, status, it.queue), 1)
  if it.key then call('HSETNX', K.waiting, it.key, it.id .. it.arguments) end
  bind(it, it.id, '1')
  it.at_once_or = due
  return 'N' .. start
end
