-- Changes of counts and indexes. No item reads them, so each is written once per script, however many items it has.
local counted, unsuccessful = {}, {}
-- The transitions of this script in groups that change the same indexes. A group has the ids of its invocations.
local groups, by_registration = {}, {}

-- Invocations are counted by whether they are queued, by status and by queue.
local function add_count(reg, status, queued, by)
  local field = (queued and 'q' or 'r') .. string.char(status) .. reg.queue
  counted[field] = (counted[field] or 0) + by
end

local function inner(tables, key)
  local found = tables[key]
  if not found then
    found = {}
    tables[key] = found
  end
  return found
end

-- The retention of a finished invocation, in milliseconds.
local function retention_of(reg, status)
  return status == S.failed and reg.failure_retention or reg.retention
end

local function owner_in(state)
  return contains(T.owned, byte(state)) and sub(state, 1 + F.owner - F.status) or nil
end

local function new_group(text, seen, state, flags)
  local reg, from, to = registration(text), byte(seen), byte(state)
  local is_final, former_owner, owner = contains(T.final, to), owner_in(seen), owner_in(state)
  local was_queued, queued, in_lane = is_queued(seen), is_queued(state), bit.band(flags, IN_LANE) ~= 0
  return {
    reg = reg, from = from, to = to, was_queued = was_queued, queued = queued, is_final = is_final,
    former_owner = former_owner ~= owner and former_owner or nil,
    owner = former_owner ~= owner and owner or nil,
    retention = is_final and retention_of(reg, to),
    is_unlogged = bit.band(flags, UNLOGGED) ~= 0,
    flags = string.char(bit.band(flags, is_final and 222 or 223)),
    -- Hints of invocations that were registered without a lane may get lost, so those that are queued have an index.
    is_waiting_changed = was_queued ~= queued and not in_lane,
  }
end

-- The group of a transition from one state to another.
local function group_of(raw, seen, state)
  local text, flags = registration_text(raw), byte(raw, F.flags)
  local by_flags = inner(inner(inner(by_registration, text), seen), state)
  local group = by_flags[flags]
  if not group then
    group = new_group(text, seen, state, flags)
    by_flags[flags], groups[#groups + 1] = group, group
  end
  return group
end

local function index_waiting(id, raw, queued)
  if queued then
    call('ZADD', K.waiting, int(registered_at(raw)), id)
  else
    call('ZREM', K.waiting, id)
  end
end

-- Appends the ids of new invocations to the present chunk of the listing.
local function list_new(chunk, ids, time)
  local key = pack('>I4', chunk)
  local length = call_in_chunks('RPUSH', K.listed .. key, ids)
  if length == #ids then call('ZADD', K.chunks, int(time), key) end
  if length >= T.chunk then call('INCR', K.chunk) end
end

local function flush_group(group)
  add_count(group.reg, group.from, group.was_queued, -#group)
  add_count(group.reg, group.to, group.queued, #group)
  if group.owner then call_in_chunks('SADD', K.owned .. group.owner, group) end
  if group.former_owner then call_in_chunks('SREM', K.owned .. group.former_owner, group) end
  -- Invocations with the same retention expire in the order in which they finished, so each retention has a list.
  if group.retention and call_in_chunks('RPUSH', K.retained .. group.retention, group) == #group then
    call('SADD', K.retentions, group.retention)
  end
end

local function flush_indexes()
  flush_entries()
  for _, group in ipairs(groups) do flush_group(group) end
  call_in_chunks('ZADD', K.unsuccessful, unsuccessful)
  for field, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', K.counts, field, int(by)) end
  end
end
