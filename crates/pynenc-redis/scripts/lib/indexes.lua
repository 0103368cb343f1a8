-- Changes of counts and indexes. No item reads them, so each is written once per script, however many items it has.
local counted, gained, lost, retained, unsuccessful = {}, {}, {}, {}, {}

-- Invocations are counted by whether they are queued, by status and by queue.
local function add_count(reg, status, queued, by)
  local kind = queued and -status or status
  local field = reg.fields[kind]
  if not field then
    field = (queued and 'q' or 'r') .. string.char(status) .. reg.queue
    reg.fields[kind] = field
  end
  counted[field] = (counted[field] or 0) + by
end

local function add_to(lists, key, item)
  local list = lists[key]
  if list then list[#list + 1] = item else lists[key] = {item} end
end

local function change_owner(id, from, to)
  if from == to then return end
  if from ~= NONE then add_to(lost, from, id) end
  if to ~= NONE then add_to(gained, to, id) end
end

-- The retention of a finished invocation, in milliseconds.
local function retention_of(reg, status)
  return status == S.failed and reg.failure_retention or reg.retention
end

-- Invocations that were registered without a lane may lose their hints, so those that are queued have an index.
local function index_waiting(id, raw, was_queued, queued)
  if was_queued == queued or has_flag(raw, IN_LANE) then return end
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

local function flush_indexes()
  flush_entries()
  for owner, ids in pairs(gained) do call_in_chunks('SADD', K.owned .. owner, ids) end
  for owner, ids in pairs(lost) do call_in_chunks('SREM', K.owned .. owner, ids) end
  -- Invocations with the same retention expire in the order in which they finished, so each retention has a list.
  for retention, ids in pairs(retained) do
    if call_in_chunks('RPUSH', K.retained .. retention, ids) == #ids then call('SADD', K.retentions, retention) end
  end
  call_in_chunks('ZADD', K.unsuccessful, unsuccessful)
  for field, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', K.counts, field, int(by)) end
  end
end
