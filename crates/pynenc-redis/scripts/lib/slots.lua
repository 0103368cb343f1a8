-- The first invocation that is parked at a key, and its entry. Invocations that no longer wait are dropped.
local function first_parked(key)
  while true do
    local id = call('ZRANGE', K.parked .. key, 0, 0)[1]
    local e = id and read_entry(id)
    if not id or (e and e[E.status] == S.concurrency_controlled) then return id, e end
    call('ZREM', K.parked .. key, id)
  end
end

-- Takes a slot; gives whether the invocation holds one now. Parked invocations come first.
local function take_slot(key, id, limit)
  if call('SISMEMBER', K.holders .. key, id) == 1 then return true end
  if call('SCARD', K.holders .. key) >= limit or first_parked(key) then return false end
  call('SADD', K.holders .. key, id)
  return true
end

local function park(key, id)
  call('ZADD', K.parked .. key, int(call('INCR', K.parked_last)), id)
end

-- Hands free slots to the first parked invocations, and adds these to 'handed'. Each holds its slot until it finishes.
local function hand_over_slots(key, handed, time)
  while true do
    local id, e = first_parked(key)
    if not id then return end
    local _, limit = running_key(e)
    if call('SCARD', K.holders .. key) >= limit then return end
    call('SADD', K.holders .. key, id)
    call('ZREM', K.parked .. key, id)
    change_status(id, e, S.rerouted, A.system, NONE, 0, R.slot_handed_over, nil, time)
    handed[#handed + 1] = id .. e[E.raw]
  end
end

-- Makes a transition. If no runner owns the invocation afterwards, its slot goes to a parked invocation.
local function change_status_and_free_slot(id, e, to, by, runner, due, reason, detail, handed, time)
  change_status(id, e, to, by, runner, due, reason, detail, time)
  if e[E.when_blocked] == 0 or contains(T.owned, e[E.status]) then return end
  local key = running_key(e)
  call('SREM', K.holders .. key, id)
  call('ZREM', K.parked .. key, id)
  hand_over_slots(key, handed, time)
end
