-- The entry of an invocation, one string: the header, the registration, the record of the call if the lane stored it, and
-- the log. F.name and L.name are the first and the last byte of a field of the header.
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local CANCEL_REQUESTED, WATCHED, NAMED, GRANTED, IN_LANE, UNLOGGED, SCHEDULED, HAS_PARENT = 1, 2, 4, 8, 16, 32, 64, 128
-- Entries by id: those that were read, and those to be written after all items. Each new string costs time, so keys are
-- made once.
local entries, changed, keys = {}, {}, {}
-- Parsed registrations by their text: many entries of a script have the same.
local registrations, kinds = {}, {}
local packed_now

-- The script's time as entries store it.
local function packed_time(time)
  packed_now = packed_now or pack('>I6', time)
  return packed_now
end

local function contains(set, status)
  return byte(set, status) == 49
end

local function key_of(id)
  local key = keys[id]
  if not key then
    key = K.entry .. id
    keys[id] = key
  end
  return key
end

-- Reads entries together before they are needed. A key of another type is skipped: the read of that item will fail.
local function prefetch(ids)
  for first = 1, #ids, 500 do
    local wanted = {}
    for i = first, math.min(first + 499, #ids) do wanted[#wanted + 1] = key_of(ids[i]) end
    for i, raw in ipairs(call('MGET', unpack(wanted))) do
      if raw then entries[ids[first + i - 1]] = raw end
    end
  end
end

-- The present entry; false if there is none.
local function entry(id)
  local raw = changed[id] or entries[id]
  if raw == nil then
    raw = call('GET', key_of(id))
    entries[id] = raw
  end
  if raw and byte(raw) ~= T.layout then error('unknown layout') end
  if raw and #raw <= T.header then error('data string too short') end
  return raw
end

-- The present entry; false if there is none that this version can read.
local function readable_entry(id)
  local ok, raw = pcall(entry, id)
  return ok and raw
end

-- Writes the changed entries.
local function flush_entries()
  local values = {}
  for id, raw in pairs(changed) do
    values[#values + 1], values[#values + 2] = key_of(id), raw
    entries[id] = raw
  end
  for first = 1, #values, 1000 do call('MSET', unpack(values, first, math.min(first + 999, #values))) end
  changed = {}
end

local function has_flag(raw, flag)
  return bit.band(byte(raw, F.flags), flag) ~= 0
end

-- Sets a flag of an entry.
local function set_flag(id, raw, flag)
  changed[id] = sub(raw, 1, F.flags - 1) .. string.char(bit.bor(byte(raw, F.flags), flag)) .. sub(raw, F.flags + 1)
end

local function status_of(raw)
  return byte(raw, F.status)
end

local function owner_of(raw)
  return sub(raw, F.owner, L.owner)
end

local function registered_at(raw)
  return (parse('>I6', raw, F.registered_at))
end

local function due_of(raw)
  return (parse('>I6', raw, F.due))
end

-- The state: the fields of the header from the status to the owner.
local function state_of(raw)
  return sub(raw, F.status, L.owner)
end

-- Whether an invocation in this state belongs in a queue: it waits for a claim, and isn't suspended until an event.
local function is_queued(state)
  local status = byte(state)
  return contains(T.claimable, status) and (status ~= S.scheduled or parse('>I6', state, 1 + F.due - F.status) > 0)
end

local function is_entry_queued(raw)
  return is_queued(state_of(raw))
end

-- The length of the header and the registration.
local function head_length(raw)
  local high, low = byte(raw, F.registration_length, L.registration_length)
  return T.header + high * 256 + low
end

-- The header and the registration.
local function head_of(raw)
  return sub(raw, 1, head_length(raw))
end

-- The log, behind the record.
local function log_of(raw)
  local head = head_length(raw)
  return sub(raw, head + 5 + parse('>I4', raw, head + 1))
end

local function parse_registration(text)
  local when_blocked, is_keyed, priority, retention, failure_retention, queue, task, rest =
    parse('>BBI2I6I6I2c0I2c0', text)
  local reg = {when_blocked = when_blocked, priority = priority, queue = queue, task = task}
  reg.retention, reg.failure_retention = int(retention), int(failure_retention)
  if when_blocked ~= 0 then reg.running_key, reg.limit, rest = parse('>c32I4', text, rest) end
  if is_keyed == 1 then reg.key, reg.arguments = parse('>c32c32', text, rest) end
  return reg
end

local function registration_of(raw)
  local high, low = byte(raw, F.registration_length, L.registration_length)
  local text = sub(raw, T.header + 1, T.header + high * 256 + low)
  local reg = registrations[text]
  if not reg then
    reg = parse_registration(text)
    registrations[text] = reg
  end
  return reg
end

-- The kind of an entry: its state, its flags and its registration. Many entries of a script are of the same kind.
local function kind_of(raw)
  local high, low = byte(raw, F.registration_length, L.registration_length)
  local text = sub(raw, F.status, T.header + high * 256 + low)
  local kind = kinds[text]
  if not kind then
    local state = state_of(raw)
    kind = {reg = registration_of(raw), state = state, status = byte(state), flags = byte(raw, F.flags), groups = {}}
    kind.due, kind.is_queued = due_of(raw), is_queued(state)
    kinds[text] = kind
  end
  return kind
end
