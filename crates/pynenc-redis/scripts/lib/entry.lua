-- The entry of an invocation, one string: a header, the registration, and a line of history for each version.
local HEADER_FORMAT = '>BBBBBBBI4I4I4I4I4I4I6I6c16c16'
local ENTRY_FORMAT = HEADER_FORMAT .. 'I6I2BBI2I6I6I2c0I2c0'
-- No runner, and no claim token.
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
-- Where the registration begins, and the length of the shortest entry.
local REGISTRATION, SHORTEST_ENTRY = 76, 103
-- Entries by id: those that were read, and those to be written after all items. An entry is its text, or a table of the
-- parsed fields.
local entries, changed = {}, {}
-- Keys and values to be written together.
local values = {}

local function contains(set, status)
  return byte(set, status) == 49
end

local function parse_entry(raw)
  return {raw, parse(ENTRY_FORMAT, raw)}
end

-- Reads entries together before they are needed. A key of another type is skipped: the read of that item will fail.
local function prefetch(ids)
  for first = 1, #ids, 500 do
    local keys = {}
    for i = first, math.min(first + 499, #ids) do keys[#keys + 1] = K.entry .. ids[i] end
    for i, raw in ipairs(call('MGET', unpack(keys))) do
      if raw then entries[ids[first + i - 1]] = raw end
    end
  end
end

-- The present entry, as text or parsed; false if there is none.
local function stored_entry(id)
  local e = changed[id]
  if e == nil then e = entries[id] end
  if e == nil then
    e = call('GET', K.entry .. id)
    entries[id] = e
  end
  return e
end

-- The present entry as text; false if there is none.
local function raw_entry(id)
  local e = stored_entry(id)
  if type(e) == 'table' then return e[E.raw] end
  if e and #e < SHORTEST_ENTRY then error('data string too short') end
  return e
end

-- The present entry, parsed; false if there is none.
local function read_entry(id)
  local e = stored_entry(id)
  if type(e) ~= 'string' then return e end
  e = parse_entry(e)
  if changed[id] then changed[id] = e else entries[id] = e end
  return e
end

local function packed_header(e)
  return pack(HEADER_FORMAT, unpack(e, E.layout, E.token))
end

-- The header as it was last packed.
local function header_of(e)
  return sub(e[E.raw], 1, REGISTRATION - 1)
end

-- Packs the header anew, and appends lines of history.
local function write_entry(id, e, lines)
  e[E.raw] = packed_header(e) .. sub(e[E.raw], REGISTRATION) .. lines
  changed[id] = e
end

local function put_value(key, value)
  local last = #values
  values[last + 1], values[last + 2] = key, value
end

local function flush_values()
  for first = 1, #values, 2000 do call('MSET', unpack(values, first, math.min(first + 1999, #values))) end
end

local function flush_entries()
  for id, e in pairs(changed) do put_value(K.entry .. id, type(e) == 'string' and e or e[E.raw]) end
  flush_values()
end

local function is_queued(e)
  return contains(T.claimable, e[E.status]) and (e[E.status] ~= S.scheduled or e[E.due] > 0)
end

-- The running key, and its number of slots.
local function running_key(e)
  return parse('>c32I4', e[E.raw], e[E.keys_start])
end

-- The registration key, and the digest of all arguments.
local function registration_key(e)
  return parse('>c32c32', e[E.raw], e[E.keys_start] + (e[E.when_blocked] == 0 and 0 or 36))
end
