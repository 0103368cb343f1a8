-- What is kept of an invocation, in one string: a header, its facts, and a line of history for each version.
local HEADER = '>BBBBBBBI4I4I4I4I4I4I6I6c16c16'
local ENTRY = HEADER .. 'I6I2BBI2I6I6I2c0I2c0'
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local FACTS, SHORTEST = 76, 103
-- What was read, and what is to be written once all items are through; by id.
local entries, changed = {}, {}
-- Keys and values that are written together.
local values = {}

local function is(set, status)
  return byte(set, status) == 49
end

local function parsed(raw)
  return {raw, parse(ENTRY, raw)}
end

-- Reads entries at once that will be asked for. One that is none is left to whom it concerns.
local function fetch(ids)
  for first = 1, #ids, 500 do
    local keys = {}
    for place = first, math.min(first + 499, #ids) do keys[#keys + 1] = K.entry .. ids[place] end
    for place, raw in ipairs(call('MGET', unpack(keys))) do
      if raw then entries[ids[first + place - 1]] = raw end
    end
  end
end

-- What is kept of an invocation as it is now, or false: its text, or what it was taken apart into.
local function kept(id)
  local e = changed[id]
  if e == nil then e = entries[id] end
  if e == nil then
    e = call('GET', K.entry .. id)
    entries[id] = e
  end
  return e
end

-- The text of it, as far as there is one.
local function text(id)
  local e = kept(id)
  if type(e) == 'table' then return e[E.raw] end
  if e and #e < SHORTEST then error('data string too short') end
  return e
end

-- What is kept of an invocation, taken apart, or false.
local function read(id)
  local e = kept(id)
  if type(e) ~= 'string' then return e end
  e = parsed(e)
  if changed[id] then changed[id] = e else entries[id] = e end
  return e
end

local function header(e)
  return pack(HEADER, unpack(e, E.layout, E.token))
end

-- The header as it is written.
local function written(e)
  return sub(e[E.raw], 1, FACTS - 1)
end

-- Writes the header anew, and adds a line of history.
local function write(id, e, line)
  e[E.raw] = header(e) .. sub(e[E.raw], FACTS) .. line
  changed[id] = e
end

local function put(key, value)
  local last = #values
  values[last + 1], values[last + 2] = key, value
end

local function flush_values()
  for first = 1, #values, 2000 do call('MSET', unpack(values, first, math.min(first + 1999, #values))) end
end

local function flush_entries()
  for id, e in pairs(changed) do put(K.entry .. id, type(e) == 'string' and e or e[E.raw]) end
  flush_values()
end

local function is_queued(e)
  return is(T.claimable, e[E.status]) and (e[E.status] ~= S.scheduled or e[E.due] > 0)
end

-- The key and the number of slots.
local function running_key(e)
  return parse('>c32I4', e[E.raw], e[E.next])
end

-- The key and the digest of all arguments.
local function registration_key(e)
  return parse('>c32c32', e[E.raw], e[E.next] + (e[E.running] == 0 and 0 or 36))
end
