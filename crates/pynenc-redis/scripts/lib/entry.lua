-- What is kept of an invocation, in one string: a header, its facts, and a line of history for each version.
local HEADER = '>BBBBBBBI4I4I4I4I4I4I6I6c16c16'
local ENTRY = HEADER .. 'I6I2BBI2I6I6I2c0I2c0'
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local FACTS = 76

local function is(set, status)
  return byte(set, status) == 49
end

local function parsed(raw)
  return {raw, parse(ENTRY, raw)}
end

local function read(id)
  local raw = call('GET', K.entry .. id)
  return raw and parsed(raw)
end

local function header(e)
  return pack(HEADER, unpack(e, E.layout, E.token))
end

-- The header as it was written last.
local function written(e)
  return sub(e[E.raw], 1, FACTS - 1)
end

local function write(id, e, line)
  e[E.raw] = header(e) .. sub(e[E.raw], FACTS) .. line
  call('SET', K.entry .. id, e[E.raw])
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
