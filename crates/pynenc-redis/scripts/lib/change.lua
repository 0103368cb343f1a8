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

-- Whether transitions of a group have effects on other keys than the indexes.
local function has_effects(group, flags)
  local is_heard = group.is_final
    and (group.to ~= S.success or bit.band(flags, WATCHED) ~= 0 or interest_in(group.to, group.reg.task))
  return group.is_waiting_changed or group.from == S.paused or group.reg.key or is_heard
end

local function update_others(id, new, group, tail, time)
  if group.is_waiting_changed then index_waiting(id, registered_at(new), group.queued) end
  if group.from == S.paused then drop_waits(id) end
  if group.reg.key then update_registration_key(id, group.reg, group.to, byte(new, F.reason), group.queued) end
  if group.is_final then complete(id, new, group.reg, tail, time) end
end

local function transition_group(kind, state, time)
  local group = kind.groups[state]
  if not group then
    local dropped = contains(T.final, byte(state)) and UNLOGGED + CANCEL_REQUESTED or UNLOGGED
    group = new_group(kind, state, bit.band(kind.flags, 255 - dropped))
    kind.groups[state] = group
  end
  if begin_group(group, time) then group.has_effects = has_effects(group, kind.flags) end
  return group
end

-- Gives an entry a new state, and updates every index but the slots, which are the caller's. 'tail' goes to the log: an
-- outcome, and a line but for its time. A claim writes nothing to the log, so the next transition stores its state there.
local function change_state(id, raw, kind, state, tail, time)
  local group, at, new = transition_group(kind, state, time), packed_time(time), nil
  local token = kind.token
  if group.is_unlogged then
    new = group.start .. sub(raw, token) .. '\254' .. sub(raw, token - 6, token - 1) .. kind.state .. tail .. at
  else
    new = group.start .. sub(raw, token) .. tail .. at
  end
  replace_entry(id, new)
  group[#group + 1] = id
  if group.has_effects then update_others(id, new, group, tail .. at, time) end
  return new, group
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
local function change_unowned(id, raw, to, reason, parts, rest, time)
  local kind = kind_of(raw)
  local _, _, version, epoch, deliveries, starts, losses, retries = parse(STATE_FORMAT, kind.state)
  local state =
    pack(STATE_FORMAT, to, reason, version + 1, epoch + 1, deliveries, starts, losses, retries, 0, NONE)
  return change_state(id, raw, kind, state, pack('>BBI4B', to, reason, epoch + 1, parts) .. rest, time)
end

-- Pushes the hint for an invocation that has returned to its queue. Without a lane, the caller pushes it.
local function push_own_hint(id, raw, reg, time)
  if not is_entry_queued(raw) or not has_flag(raw, IN_LANE) then return end
  local is_handed = byte(raw, F.reason) == R.slot_handed_over
  push_hint(reg.queue, id, is_handed and T.raised or reg.priority, due_of(raw), time)
end
