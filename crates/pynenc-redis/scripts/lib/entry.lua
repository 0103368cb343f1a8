-- What is kept of an invocation, in one string: a header, its facts, and a line of history for each version.
local HEADER = '>BBBBBBBI4I4I4I4I4I4I6I6c16c16'
local ENTRY = HEADER .. 'I6I2BBI2I6I6I2c0I2c0'
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local FACTS = 76
-- What was read, and what is to be written once all items are through; by id.
local entries, changed = {}, {}
-- Whether several entries were asked for together.
local is_batch

local function is(set, status)
  return byte(set, status) == 49
end

local function parsed(raw)
  return {raw, parse(ENTRY, raw)}
end

-- Reads entries at once that will be asked for. One that is none is left to whom it concerns.
local function fetch(ids)
  is_batch = #ids > 1
  for first = 1, #ids, 500 do
    local keys = {}
    for place = first, math.min(first + 499, #ids) do keys[#keys + 1] = K.entry .. ids[place] end
    for place, raw in ipairs(call('MGET', unpack(keys))) do
      if raw then entries[ids[first + place - 1]] = raw end
    end
  end
end

-- What is kept of an invocation, or false.
local function read(id)
  local e = changed[id] or entries[id] or call('GET', K.entry .. id)
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

local function flush_entries()
  local values = {}
  for id, e in pairs(changed) do
    values[#values + 1], values[#values + 2] = K.entry .. id, type(e) == 'string' and e or e[E.raw]
    if #values == 1000 then
      call('MSET', unpack(values))
      values = {}
    end
  end
  if #values > 0 then call('MSET', unpack(values)) end
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
