-- Whether the invocation holds a slot now, by this call or before.
local function take(key, id, limit)
  if call('SISMEMBER', K.holders .. key, id) == 1 then return true end
  if call('SCARD', K.holders .. key) >= limit then return false end
  call('SADD', K.holders .. key, id)
  return true
end

local function park(key, id)
  call('ZADD', K.parked .. key, call('INCR', K.turn), id)
end

-- Gives free slots to the first who wait: each keeps its own until it is claimed or ends.
local function hand_over(key, handed, time)
  while true do
    local id = call('ZRANGE', K.parked .. key, 0, 0)[1]
    if not id then return end
    local e = read(id)
    local is_parked = e and e[E.status] == S.concurrency_controlled
    if is_parked then
      local _, limit = running_key(e)
      if call('SCARD', K.holders .. key) >= limit then return end
      call('SADD', K.holders .. key, id)
    end
    call('ZREM', K.parked .. key, id)
    if is_parked then
      enter(id, e, S.rerouted, A.system, NONE, 0, R.slot_handed_over, nil, time)
      handed[#handed + 1] = id .. e[E.raw]
    end
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
