-- Changes of an entry's state. A state is the bytes of the header from the status to the owner.
local STATE_FORMAT = '>BBI4I4I4I4I4I4I6c16'

local function drop_waits(id)
  for _, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    call('SREM', K.awaited .. awaited, id)
  end
  call('DEL', K.awaits .. id)
end

-- A waiting invocation takes its registration key if the key is free. An invocation in another status frees its key. A
-- suspended workflow holds no registration key.
local function update_registration_key(id, reg, status, reason, queued)
  if queued and reason ~= R.put_aside or status == S.concurrency_controlled then
    call('HSETNX', K.registration_keys, reg.key, id .. reg.arguments)
  else
    local holder = call('HGET', K.registration_keys, reg.key)
    if holder and sub(holder, 1, 16) == id then call('HDEL', K.registration_keys, reg.key) end
  end
end

-- The state before the first transition behind a claim. The claim didn't write to the log: its lines follow from this.
local function claim_item(raw)
  return has_flag(raw, UNLOGGED) and '\254' .. sub(raw, F.at, L.owner) or ''
end

-- Gives an entry a new state, and updates every index but the slots, which are the caller's. 'tail' goes to the log: an
-- outcome, and a line but for its time. 'token' is that of a claim that found no slot.
local function change_state(id, raw, state, tail, time, token)
  local reg, at = registration_of(raw), packed_time(time)
  local from, to, was_queued = status_of(raw), byte(state), is_queued(raw)
  local flags = bit.band(byte(raw, F.flags), contains(T.final, to) and 222 or 223)
  local start = sub(raw, 1, L.token)
  if token then start, flags = sub(raw, 1, L.registered_at) .. token, bit.band(flags, 247) end
  local new = start .. at .. state .. string.char(flags) .. sub(raw, F.registration_length) .. claim_item(raw) .. tail .. at
  local queued = is_queued(new)
  changed[id] = new
  add_count(reg, from, was_queued, -1)
  add_count(reg, to, queued, 1)
  index_waiting(id, raw, was_queued, queued)
  change_owner(id, owner_of(raw), contains(T.owned, to) and owner_of(new) or NONE)
  if from == S.paused then drop_waits(id) end
  if reg.key then update_registration_key(id, reg, to, byte(state, 2), queued) end
  if contains(T.final, to) then complete(id, new, reg, tail .. at, time) end
  return new, reg
end

-- A detail of a line: its length, with seven bits in each byte and a mark in all bytes but the last, and the text.
local function detail_text(text)
  local length, rest = '', #text
  while rest >= 128 do
    length, rest = length .. string.char(128 + rest % 128), math.floor(rest / 128)
  end
  return length .. string.char(rest) .. text
end

-- Makes a transition that a script decides on, for an invocation without an owner. A line of the log is the status, the
-- reason, the epoch, a byte that tells which parts follow, the parts, and the time: 2 for the runner, 4 for a detail. With
-- 1, the line is by the runner of the last line that names one.
local function change_unowned(id, raw, to, reason, parts, rest, time, token)
  local _, _, version, epoch, deliveries, starts, losses, retries = parse(STATE_FORMAT, raw, F.status)
  local state =
    pack(STATE_FORMAT, to, reason, version + 1, epoch + 1, deliveries, starts, losses, retries, 0, NONE)
  return change_state(id, raw, state, pack('>BBI4B', to, reason, epoch + 1, parts) .. rest, time, token)
end

-- Pushes the hint for an invocation that has returned to its queue. Without a lane, the caller pushes it.
local function push_own_hint(id, raw, reg, time)
  if not is_queued(raw) or not has_flag(raw, IN_LANE) then return end
  local is_handed = byte(raw, F.reason) == R.slot_handed_over
  push_hint(reg.queue, id, is_handed and T.raised or reg.priority, due_of(raw), time)
end
