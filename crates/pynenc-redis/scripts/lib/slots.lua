-- The first invocation that is parked at a key, and its entry. Invocations that no longer wait are dropped.
local function first_parked(key)
  while true do
    local id = call('ZRANGE', K.parked .. key, 0, 0)[1]
    local raw = id and readable_entry(id)
    if not id or (raw and status_of(raw) == S.concurrency_controlled) then return id, raw end
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
    local id, raw = first_parked(key)
    if not id or call('SCARD', K.holders .. key) >= registration_of(raw).limit then return end
    call('SADD', K.holders .. key, id)
    call('ZREM', K.parked .. key, id)
    local new, group = change_unowned(id, raw, S.rerouted, R.slot_handed_over, 0, '', time)
    push_own_hint(id, new, group.reg, time)
    handed[#handed + 1] = id .. start_of(new)
  end
end

-- If no runner owns the invocation any more, its slot goes to a parked invocation. Gives those that were handed one.
local function free_slot(id, raw, reg, time)
  local handed = {}
  if reg.when_blocked == 0 or contains(T.owned, status_of(raw)) then return handed end
  call('SREM', K.holders .. reg.running_key, id)
  call('ZREM', K.parked .. reg.running_key, id)
  hand_over_slots(reg.running_key, handed, time)
  return handed
end
