-- Changes of counts and indexes. No item reads them, so each is written once per script, however many items it has.
local counted, unsuccessful = {}, {}
-- The transitions of this run in groups that change the same indexes. A group has the ids of its invocations.
local groups, this_run = {}, {}

-- Invocations are counted by whether they are queued, by status and by queue.
local function add_count(reg, status, queued, by)
  local field = (queued and 'q' or 'r') .. string.char(status) .. reg.queue
  counted[field] = (counted[field] or 0) + by
end

local function count_forgotten(status)
  local field = 'f' .. string.char(status)
  counted[field] = (counted[field] or 0) + 1
end

-- The retention of a finished invocation, in milliseconds.
local function retention_of(reg, status)
  return int(status == S.failed and reg.failure_retention or reg.retention)
end

local function owner_in(state)
  return contains(T.owned, byte(state)) and sub(state, 1 + F.owner - F.status) or nil
end

-- A group of transitions from the kind of an entry to a state, with the new flags. A kind that is kept keeps its groups.
local function new_group(kind, state, flags)
  local to, was_owned_by, owner = byte(state), owner_in(kind.state), owner_in(state)
  local is_final, queued = contains(T.final, to), is_queued(state)
  return {
    reg = kind.reg, from = kind.status, to = to, was_queued = kind.is_queued, queued = queued, is_final = is_final,
    former_owner = was_owned_by ~= owner and was_owned_by or nil,
    owner = was_owned_by ~= owner and owner or nil,
    retention = is_final and retention_of(kind.reg, to),
    is_unlogged = bit.band(kind.flags, UNLOGGED) ~= 0,
    head = string.char(T.layout) .. state .. string.char(flags) .. kind.registration,
    -- Hints of invocations that were registered without a lane may get lost, so those that are queued have an index.
    is_waiting_changed = kind.is_queued ~= queued and bit.band(kind.flags, IN_LANE) == 0,
  }
end

-- Begins a group in this run. Gives whether it hasn't begun before.
local function begin_group(group, time)
  if group.run == this_run then return false end
  for i = #group, 1, -1 do group[i] = nil end
  group.run, group.start = this_run, group.head .. packed_time(time)
  groups[#groups + 1] = group
  return true
end

local function index_waiting(id, registered, queued)
  if queued then
    call('ZADD', K.waiting, int(registered), id)
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
