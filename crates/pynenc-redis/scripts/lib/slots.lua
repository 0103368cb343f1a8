-- The first who waits for a slot; what an invocation left behind that waits no more is dropped.
local function head(key)
  while true do
    local id = call('ZRANGE', K.parked .. key, 0, 0)[1]
    local e = id and read(id)
    if not id or (e and e[E.status] == S.concurrency_controlled) then return id, e end
    call('ZREM', K.parked .. key, id)
  end
end

-- Whether the invocation holds a slot now, by this call or before. Nobody passes those who wait for one.
local function take(key, id, limit)
  if call('SISMEMBER', K.holders .. key, id) == 1 then return true end
  if call('SCARD', K.holders .. key) >= limit or head(key) then return false end
  call('SADD', K.holders .. key, id)
  return true
end

local function park(key, id)
  call('ZADD', K.parked .. key, int(call('INCR', K.turn)), id)
end

-- Gives free slots to the first who wait: each keeps its own until it is claimed or ends.
local function hand_over(key, handed, time)
  while true do
    local id, e = head(key)
    if not id then return end
    local _, limit = running_key(e)
    if call('SCARD', K.holders .. key) >= limit then return end
    call('SADD', K.holders .. key, id)
    call('ZREM', K.parked .. key, id)
    enter(id, e, S.rerouted, A.system, NONE, 0, R.slot_handed_over, nil, time)
    handed[#handed + 1] = id .. e[E.raw]
  end
end

-- Enters, and frees the slot of what isn't owned any more; adds those who got it to `handed`.
local function enter_and_free(id, e, to, by, runner, due, reason, detail, handed, time)
  enter(id, e, to, by, runner, due, reason, detail, time)
  if e[E.running] == 0 or is(T.owned, e[E.status]) then return end
  local key = running_key(e)
  call('SREM', K.holders .. key, id)
  call('ZREM', K.parked .. key, id)
  hand_over(key, handed, time)
end
