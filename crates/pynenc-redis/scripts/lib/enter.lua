-- Outcomes that the script keeps, by invocation.
local outcomes = {}
-- What no item reads is written once a script, however many items it has: counts, and indexes by their members.
local counted, fresh, to_queued, to_rest, gained, lost, retained, unsuccessful = {}, {}, {}, {}, {}, {}, {}, {}

local function count(field, by)
  counted[field] = (counted[field] or 0) + by
end

-- Invocations are counted by whether they are queued, status and queue.
local function counter(is_waiting, status, queue)
  return (is_waiting and 'q' or 'r') .. string.char(status) .. queue
end

-- What is new is in no index yet.
local function place_new(id, place)
  fresh[#fresh + 1], fresh[#fresh + 2] = int(place), id
end

local function place_queued(id, place)
  to_queued[id], to_rest[id] = int(place), nil
end

local function place_rest(id, place)
  to_queued[id], to_rest[id] = nil, int(place)
end

-- Moves members from one index to the other. They are a batch and those who were handed slots.
local function move(places, from, to)
  local members, scored = {}, {}
  for id, place in pairs(places) do
    members[#members + 1] = id
    scored[#scored + 1], scored[#scored + 2] = place, id
  end
  call_with_many('ZREM', from, members)
  call_with_many('ZADD', to, scored)
end

local function change_owners(command, owners)
  local sets = {}
  for id, owner in pairs(owners) do
    sets[owner] = sets[owner] or {}
    table.insert(sets[owner], id)
  end
  for owner, ids in pairs(sets) do call_with_many(command, K.owned .. owner, ids) end
end

-- What is kept equally long ends its retention in the order in which it ended: a list for each length, noted when the
-- list begins.
local function flush_retained()
  for length, ids in pairs(retained) do
    if call_with_many('RPUSH', K.retained .. length, ids) == #ids then call('SADD', K.lengths, length) end
  end
end

local function flush_indexes()
  flush_entries()
  call_with_many('ZADD', K.queued, fresh)
  move(to_queued, K.rest, K.queued)
  move(to_rest, K.queued, K.rest)
  change_owners('SADD', gained)
  change_owners('SREM', lost)
  flush_retained()
  call_with_many('ZADD', K.unsuccessful, unsuccessful)
  for field, by in pairs(counted) do
    if by ~= 0 then call('HINCRBY', K.counts, field, int(by)) end
  end
end

local interests = {}

-- Who wants to be told of an end: a status and a task.
local function interest_in(ending)
  local wanted = interests[ending]
  if wanted == nil then
    wanted = call('HGET', K.wanted, ending)
    interests[ending] = wanted
  end
  return wanted
end

local function ending(e)
  return string.char(e[E.status]) .. e[E.task]
end

-- Writes the end down for each who wants it by a live interest.
local function to_outbox(id, e, time)
  local wanted = interest_in(ending(e))
  if not wanted then return end
  local place, is_told = 1, false
  while place <= #wanted do
    local till, listener
    till, listener, place = parse('>I6I2c0', wanted, place)
    if till > time then
      local sequence = call('INCR', K.outbox_last)
      call('HSET', K.outbox, sequence, pack('>I2c0', #listener, listener) .. id .. e[E.raw])
      call('ZADD', K.fresh .. listener, int(sequence), int(sequence))
      call('SADD', K.noted .. id, int(sequence))
      is_told = true
    end
  end
  if is_told then call('PUBLISH', K.news, 'O') end
end

-- The news of an end carries the outcome, if that is kept by the same script and is small.
local function tell_watchers(id, header)
  local outcome = outcomes[id]
  local news = 'E' .. id .. header .. (outcome and #outcome <= T.pushed_outcome and outcome or '')
  for _, channel in ipairs(call('SMEMBERS', K.watchers .. id)) do call('PUBLISH', channel, news) end
  call('DEL', K.watchers .. id)
end

-- How long it is kept once it has ended, in milliseconds.
local function kept_for(e)
  return e[E.status] == S.failed and e[E.failures] or e[E.results]
end

local function retain(length, id)
  local ids = retained[length] or {}
  retained[length] = ids
  ids[#ids + 1] = id
end

-- Invocations that have ended without a value have an index of their own: people look for them, and there are few.
local function note_unsuccessful(id, place)
  unsuccessful[#unsuccessful + 1], unsuccessful[#unsuccessful + 2] = int(place), id
end

local function ended(id, e, time)
  retain(int(kept_for(e)), id)
  if e[E.status] ~= S.success then note_unsuccessful(id, e[E.place]) end
  if e[E.watched] == 1 then tell_watchers(id, written(e)) end
  to_outbox(id, e, time)
end

local function end_waits(id)
  for _, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    call('SREM', K.awaited .. awaited, id)
  end
  call('DEL', K.awaits .. id)
end

-- One that waits takes its registration key if it is free, and one that doesn't frees it. What its body has put aside
-- stands for no other call.
local function follow_key(id, e)
  local key, arguments = registration_key(e)
  if is_queued(e) and e[E.reason] ~= R.put_aside or e[E.status] == S.concurrency_controlled then
    call('HSETNX', K.waiting, key, id .. arguments)
  else
    local holder = call('HGET', K.waiting, key)
    if holder and sub(holder, 1, 16) == id then call('HDEL', K.waiting, key) end
  end
end

local function follow_indexes(id, e, from, owner, was_queued)
  local queued = is_queued(e)
  count(counter(was_queued, from, e[E.queue]), -1)
  count(counter(queued, e[E.status], e[E.queue]), 1)
  if queued ~= was_queued then
    if queued then place_queued(id, e[E.place]) else place_rest(id, e[E.place]) end
  end
  if owner ~= e[E.owner] then
    if owner ~= NONE then lost[id] = owner end
    if e[E.owner] ~= NONE then gained[id] = e[E.owner] end
  end
  if from == S.paused then end_waits(id) end
  if e[E.keyed] == 1 then follow_key(id, e) end
end

-- A line of history. The owner is the runner of the last line that names one.
local function line(e, by, runner, has_detail)
  local named = by == A.claimer and 2 or (by == A.owner and 1 or 0)
  local start = pack('>BBI6I4B', e[E.status], e[E.reason], e[E.at], e[E.epoch], named + (has_detail and 4 or 0))
  if named == 2 then return start .. runner end
  return start
end

-- Makes one step of a record, and gives its line of history.
local function step(e, to, by, runner, due, reason, detail, time)
  local from = e[E.status]
  if from == S.running and (reason == R.owner_lost or reason == R.poison_pill) then e[E.losses] = e[E.losses] + 1 end
  if reason == R.put_aside then e[E.losses] = 0 end
  if e[E.cancel] == 1 and is(T.claimable, to) then to, due, reason = S.cancelled, 0, R.cancel_requested end
  if by ~= A.owner then e[E.epoch] = e[E.epoch] + 1 end
  if to == S.pending then e[E.deliveries] = e[E.deliveries] + 1 end
  if to == S.running and from == S.pending then e[E.starts] = e[E.starts] + 1 end
  if to == S.retry then e[E.retries] = e[E.retries] + 1 end
  if to == S.pending then e[E.owner] = runner elseif not is(T.owned, to) then e[E.owner] = NONE end
  if is(T.final, to) then e[E.cancel] = 0 end
  e[E.version] = e[E.version] + 1
  e[E.status], e[E.due], e[E.reason], e[E.at] = to, due, reason, time
  return line(e, by, runner, detail)
end

-- Makes a transition that was judged, and puts every index in line with it. Slots are for the caller. A claimer may say
-- with `runs` that its claim is running too.
local function enter(id, e, to, by, runner, due, reason, detail, time, runs)
  local from, owner, was_queued = e[E.status], e[E.owner], is_queued(e)
  local lines = step(e, to, by, runner, due, reason, detail, time)
  if runs then lines = lines .. step(e, runs, A.owner, runner, 0, R.started, nil, time) end
  write(id, e, lines)
  if detail then call('HSET', K.details .. id, e[E.version], detail) end
  follow_indexes(id, e, from, owner, was_queued)
  if is(T.final, e[E.status]) then ended(id, e, time) end
end
