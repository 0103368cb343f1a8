-- The entry of an invocation, one string: the header, the registration, the invocation's own fields, the record of the
-- call behind its length if the lane stored it, and the log. F.name and L.name are the first and the last byte of a field
-- of the header, and B.name is the place of an own field behind the registration. The header and the registration together
-- are the head. Entries that are in the same state and have the same registration have the same head.
local NONE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local CANCEL_REQUESTED, WATCHED, NAMED, GRANTED, IN_LANE, UNLOGGED, SCHEDULED, HAS_PARENT = 1, 2, 4, 8, 16, 32, 64, 128
-- The keys and the values of entries that were read or written, in the order of their first use. An invocation's key has
-- a position in this list, and the value is behind it. 'changes' has the positions of those to be written after all items.
local positions, pairs_of_entries, pair_length, changes, change_count = {}, {}, 0, {}, 0
-- Parsed registrations by their text, and kinds of entries by their head. A function keeps them for its next runs.
local registrations, kinds, kept = cache(), cache(), 0
local packed_now

-- The script's time as entries store it.
local function packed_time(time)
  packed_now = packed_now or pack('>I6', time)
  return packed_now
end

local function contains(set, status)
  return byte(set, status) == 49
end

local function position_of(id)
  local position = positions[id]
  if not position then
    position = pair_length + 1
    pair_length, positions[id], pairs_of_entries[position] = pair_length + 2, position, K.entry .. id
  end
  return position
end

-- Reads entries together before they are needed. A key of another type is skipped: the read of that item will fail.
local function prefetch(ids)
  local first, wanted = pair_length, {}
  for _, id in ipairs(ids) do position_of(id) end
  for position = first + 1, pair_length, 2 do wanted[#wanted + 1] = pairs_of_entries[position] end
  for done = 0, #wanted - 1, 500 do
    for i, raw in ipairs(call('MGET', unpack(wanted, done + 1, math.min(done + 500, #wanted)))) do
      pairs_of_entries[first + 2 * (done + i)] = raw or nil
    end
  end
end

-- The present bytes of an entry, which may be of another layout; false if there is no entry.
local function stored_entry(id)
  local position = position_of(id)
  local raw = pairs_of_entries[position + 1]
  if raw == nil then
    raw = call('GET', pairs_of_entries[position])
    pairs_of_entries[position + 1] = raw
  end
  return raw
end

-- The present entry; false if there is none.
local function entry(id)
  local raw = stored_entry(id)
  if raw and byte(raw) ~= T.layout then error('unknown layout') end
  if raw and #raw <= T.header + T.own then error('data string too short') end
  return raw
end

-- The present entry; false if there is none that this version can read.
local function readable_entry(id)
  local ok, raw = pcall(entry, id)
  return ok and raw
end

local function replace_entry(id, raw)
  local position = position_of(id)
  pairs_of_entries[position + 1] = raw
  if not changes[position] then changes[position], change_count = true, change_count + 1 end
end

-- Forgets an entry whose key was deleted.
local function drop_entry(id)
  pairs_of_entries[position_of(id) + 1] = false
end

-- Writes the changed entries.
local function flush_entries()
  local values, count = pairs_of_entries, 2 * change_count
  if count < pair_length then
    values = {}
    for position in pairs(changes) do
      values[#values + 1], values[#values + 2] = pairs_of_entries[position], pairs_of_entries[position + 1]
    end
  end
  for first = 1, count, 1000 do call('MSET', unpack(values, first, math.min(first + 999, count))) end
  changes, change_count = {}, 0
end

local function has_flag(raw, flag)
  return bit.band(byte(raw, F.flags), flag) ~= 0
end

-- Sets a flag of an entry.
local function set_flag(id, raw, flag)
  local flags = string.char(bit.bor(byte(raw, F.flags), flag))
  replace_entry(id, sub(raw, 1, F.flags - 1) .. flags .. sub(raw, F.flags + 1))
end

local function status_of(raw)
  return byte(raw, F.status)
end

local function owner_of(raw)
  return sub(raw, F.owner, L.owner)
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

local function head_length(raw)
  local high, low = byte(raw, F.registration_length, L.registration_length)
  return T.header + high * 256 + low
end

-- The head and the own fields.
local function start_of(raw)
  return sub(raw, 1, head_length(raw) + T.own)
end

-- The time of the last transition.
local function changed_at(raw)
  return (parse('>I6', raw, head_length(raw) + B.at))
end

local function registered_at(raw)
  return (parse('>I6', raw, head_length(raw) + B.registered_at))
end

-- The chunk of the listing that has the invocation.
local function chunk_of(raw)
  local place = head_length(raw) + B.chunk
  return sub(raw, place, place + 3)
end

-- The record behind its length, and the log.
local function rest_of(raw)
  return sub(raw, head_length(raw) + T.own + 1)
end

local function log_of(raw)
  local rest = rest_of(raw)
  return sub(rest, 5 + parse('>I4', rest))
end

-- The parent of an invocation that has one. Its record begins with the id.
local function parent_in(rest)
  return sub(rest, 5, 20)
end

local function parse_registration(text)
  local when_blocked, is_keyed, priority, retention, failure_retention, queue, task, rest =
    parse('>BBI2I6I6I2c0I2c0', text)
  local reg = {
    when_blocked = when_blocked, priority = priority, retention = retention, failure_retention = failure_retention,
    queue = queue, task = task,
  }
  if when_blocked ~= 0 then reg.running_key, reg.limit, rest = parse('>c32I4', text, rest) end
  if is_keyed == 1 then reg.key, reg.arguments = parse('>c32c32', text, rest) end
  return reg
end

-- Limits how much a function keeps.
local function count_kept()
  kept = kept + 1
  if kept > 1000 then registrations, kinds, kept = {}, {}, 0 end
end

local function registration_of(raw)
  local text = sub(raw, T.header + 1, head_length(raw))
  local reg = registrations[text]
  if not reg then
    count_kept()
    reg = parse_registration(text)
    registrations[text] = reg
  end
  return reg
end

local function new_kind(head, length)
  if byte(head) ~= T.layout then error('unknown layout') end
  if #head < length then error('data string too short') end
  local state = state_of(head)
  return {
    state = state, status = byte(state), due = due_of(head), is_queued = is_queued(state), flags = byte(head, F.flags),
    registration = sub(head, F.registration_length), reg = registration_of(head), groups = {}, claims = {},
    token = length + B.token, behind_token = length + B.registered_at,
  }
end

-- The kind of an entry: what all entries with its head have in common.
local function kind_of(raw)
  local high, low = byte(raw, F.registration_length, L.registration_length)
  local length = T.header + high * 256 + low
  local head = sub(raw, 1, length)
  local kind = kinds[head]
  if not kind then
    count_kept()
    kind = new_kind(head, length)
    kinds[head] = kind
  end
  return kind
end
