local function drop_waits(id)
  for _, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    call('SREM', K.awaited .. awaited, id)
  end
  call('DEL', K.awaits .. id)
end

-- A waiting invocation takes its registration key if the key is free. An invocation in another status frees its key. A
-- suspended workflow holds no registration key.
local function update_registration_key(id, e)
  local key, arguments = registration_key(e)
  if is_queued(e) and e[E.reason] ~= R.put_aside or e[E.status] == S.concurrency_controlled then
    call('HSETNX', K.registration_keys, key, id .. arguments)
  else
    local holder = call('HGET', K.registration_keys, key)
    if holder and sub(holder, 1, 16) == id then call('HDEL', K.registration_keys, key) end
  end
end

local function update_indexes(id, e, from, owner, was_queued)
  local queued = is_queued(e)
  add_to_count(count_field(was_queued, from, e[E.queue]), -1)
  add_to_count(count_field(queued, e[E.status], e[E.queue]), 1)
  if queued ~= was_queued then
    if queued then index_queued(id, e[E.registered_at]) else index_rest(id, e[E.registered_at]) end
  end
  if owner ~= e[E.owner] then
    if owner ~= NONE then lost[id] = owner end
    if e[E.owner] ~= NONE then gained[id] = e[E.owner] end
  end
  if from == S.paused then drop_waits(id) end
  if e[E.has_registration_key] == 1 then update_registration_key(id, e) end
end

-- A line of history. A line without a runner is by the runner of the last line that names one.
local function history_line(e, by, runner, has_detail)
  local named = by == A.claimer and 2 or (by == A.owner and 1 or 0)
  local line = pack('>BBI6I4B', e[E.status], e[E.reason], e[E.at], e[E.epoch], named + (has_detail and 4 or 0))
  if named == 2 then return line .. runner end
  return line
end

-- Changes the fields of an entry by one transition, and gives the line of history.
local function advance(e, to, by, runner, due, reason, detail, time)
  local from = e[E.status]
  if from == S.running and (reason == R.owner_lost or reason == R.poison_pill) then e[E.losses] = e[E.losses] + 1 end
  if reason == R.put_aside then e[E.losses] = 0 end
  if e[E.cancel_requested] == 1 and contains(T.claimable, to) then
    to, due, reason = S.cancelled, 0, R.cancel_requested
  end
  if by ~= A.owner then e[E.epoch] = e[E.epoch] + 1 end
  if to == S.pending then e[E.deliveries] = e[E.deliveries] + 1 end
  if to == S.running and from == S.pending then e[E.starts] = e[E.starts] + 1 end
  if to == S.retry then e[E.retries] = e[E.retries] + 1 end
  if to == S.pending then e[E.owner] = runner elseif not contains(T.owned, to) then e[E.owner] = NONE end
  if contains(T.final, to) then e[E.cancel_requested] = 0 end
  e[E.version] = e[E.version] + 1
  e[E.status], e[E.due], e[E.reason], e[E.at] = to, due, reason, time
  return history_line(e, by, runner, detail)
end

-- Makes an allowed transition, and updates every index but the slots, which are the caller's. 'then_to' adds the
-- transition by which the owner starts at once.
local function change_status(id, e, to, by, runner, due, reason, detail, time, then_to)
  local from, owner, was_queued = e[E.status], e[E.owner], is_queued(e)
  local lines = advance(e, to, by, runner, due, reason, detail, time)
  if then_to then lines = lines .. advance(e, then_to, A.owner, runner, 0, R.started, nil, time) end
  write_entry(id, e, lines)
  if detail then call('HSET', K.details .. id, e[E.version], detail) end
  update_indexes(id, e, from, owner, was_queued)
  if contains(T.final, e[E.status]) then complete(id, e, time) end
end
