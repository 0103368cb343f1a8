-- Changes of counts and indexes. No item reads them, so each is written once per script, however many items it has.
local counted, fresh, to_queued, to_rest, gained, lost, retained, unsuccessful = {}, {}, {}, {}, {}, {}, {}, {}

local function add_to_count(field, by)
  counted[field] = (counted[field] or 0) + by
end

-- Invocations are counted by whether they are queued, by status and by queue.
local function count_field(queued, status, queue)
  return (queued and 'q' or 'r') .. string.char(status) .. queue
end

-- A new invocation is in no index yet. The indexes are ordered by the time of registration.
local function index_new(id, registered_at)
  fresh[#fresh + 1], fresh[#fresh + 2] = int(registered_at), id
end

local function index_queued(id, registered_at)
  to_queued[id], to_rest[id] = int(registered_at), nil
end

local function index_rest(id, registered_at)
  to_queued[id], to_rest[id] = nil, int(registered_at)
end

-- Unsuccessful invocations have an index of their own: people look for them, and they are few.
local function index_unsuccessful(id, registered_at)
  unsuccessful[#unsuccessful + 1], unsuccessful[#unsuccessful + 2] = int(registered_at), id
end

-- Retention in milliseconds.
local function retention_of(e)
  return e[E.status] == S.failed and e[E.failure_retention] or e[E.retention]
end

local function retain(retention, id)
  local ids = retained[retention] or {}
  retained[retention] = ids
  ids[#ids + 1] = id
end

-- Moves members from one index to the other.
local function move_between(members, from, to)
  local ids, scored = {}, {}
  for id, registered_at in pairs(members) do
    ids[#ids + 1] = id
    scored[#scored + 1], scored[#scored + 2] = registered_at, id
  end
  call_in_chunks('ZREM', from, ids)
  call_in_chunks('ZADD', to, scored)
end

local function change_owners(command, owners)
  local sets = {}
  for id, owner in pairs(owners) do
    sets[owner] = sets[owner] or {}
    table.insert(sets[owner], id)
  end
  for owner, ids in pairs(sets) do call_in_chunks(command, K.owned .. owner, ids) end
end

-- Invocations with the same retention expire in the order in which they finished, so each retention has a list.
local function flush_retained()
  for retention, ids in pairs(retained) do
    if call_in_chunks('RPUSH', K.retained .. retention, ids) == #ids then call('SADD', K.retentions, retention) end
  end
end

local function flush_indexes()
  flush_entries()
  call_in_chunks('ZADD', K.queued, fresh)
  move_between(to_queued, K.rest, K.queued)
  move_between(to_rest, K.queued, K.rest)
  change_owners('SADD', gained)
  change_owners('SREM', lost)
  flush_retained()
  call_in_chunks('ZADD', K.unsuccessful, unsuccessful)
  for field, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', K.counts, field, int(by)) end
  end
end
