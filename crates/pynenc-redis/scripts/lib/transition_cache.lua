-- Remembers the effect of a transition on an entry, and applies it to other entries. The key is the request and the parts
-- of the entry that matter ('state_of'): not the id, the time of registration, the claim token, the history, and the time
-- of the last transition. Applying it writes the same bytes except for the times, and changes the same indexes.
-- 'cache' lives as long as the function library; with EVALSHA, for one run. All other locals are new in each run.
local cache = {transitions = {}, registrations = {}, count = 0}
local CAPACITY, MOST_VERSIONS, NO_TIME = 500, 32, '\0\0\0\0\0\0'
-- The script's time as entries store it.
local packed

local function packed_time(time)
  packed = packed or pack('>I6', time)
  return packed
end

-- Makes room for one more transition or registration.
local function make_room()
  if cache.count >= CAPACITY then cache.transitions, cache.registrations, cache.count = {}, {}, 0 end
  cache.count = cache.count + 1
end

local function cache_transition(request, state, transition)
  make_room()
  local by_state = cache.transitions[request] or {}
  cache.transitions[request], by_state[state] = by_state, transition
end

-- The part of an entry that decides the effect of a transition. It is nil if more decides: keys, slots, a due time. An
-- entry with many versions isn't worth caching. The offsets are those of HEADER_FORMAT in entry.lua: 8-11 version, 32-37
-- time, 38-43 due time, 44-59 owner, 60-75 token, 76-81 time of registration, 82-83 length of the rest, 84 when_blocked,
-- 85 has_registration_key.
local function state_of(raw)
  if sub(raw, 8, 10) ~= '\0\0\0' or byte(raw, 11) > MOST_VERSIONS then return nil end
  local length_high, length_low, when_blocked, has_registration_key = byte(raw, 82, 85)
  if when_blocked ~= 0 or has_registration_key ~= 0 or sub(raw, 38, 43) ~= NO_TIME then return nil end
  return sub(raw, 1, 31) .. sub(raw, 44, 59) .. sub(raw, 84, 83 + length_high * 256 + length_low)
end

-- Lines of history, split where their times are. A line: status, reason, time (6 bytes), epoch (4 bytes), flags, and with
-- flag 2 a runner (16 bytes).
local function split_at_times(lines)
  local parts, from, position = {}, 1, 1
  while position <= #lines do
    parts[#parts + 1] = sub(lines, from, position + 1)
    from = position + 8
    position = position + 13 + (bit.band(byte(lines, position + 12), 2) == 0 and 0 or 16)
  end
  parts[#parts + 1] = sub(lines, from)
  return parts
end

-- Caches the transition that led from the entry 'raw' to the present one.
local function remember_transition(request, state, id, raw)
  local e = changed[id]
  if type(e) ~= 'table' or e[E.raw] == raw or e[E.due] ~= 0 then return end
  local was = parse_entry(raw)
  local was_queued, queued, owner = is_queued(was), is_queued(e), e[E.owner]
  local completion = contains(T.final, e[E.status]) and completion_kind(e)
  cache_transition(request, state, {
    head = sub(e[E.raw], 1, 31),
    tail = sub(e[E.raw], 38, 59),
    lines = split_at_times(sub(e[E.raw], #raw + 1)),
    from = count_field(was_queued, was[E.status], was[E.queue]),
    to = count_field(queued, e[E.status], e[E.queue]),
    index = queued ~= was_queued and (queued and index_queued or index_rest),
    former_owner = owner ~= was[E.owner] and was[E.owner] ~= NONE and was[E.owner],
    new_owner = owner ~= was[E.owner] and owner ~= NONE and owner,
    completion = completion,
    was_paused = was[E.status] == S.paused,
    is_watched = completion and e[E.watched] == 1,
    retention = completion and int(retention_of(e)),
    is_unsuccessful = completion and e[E.status] ~= S.success,
  })
end

-- The cached transition, unless listeners have subscribed to its completion: they may need an entry in the outbox.
local function cached_transition(request, state)
  local by_state = cache.transitions[request]
  local transition = by_state and by_state[state]
  if transition and transition.completion and interest_in(transition.completion) then return nil end
  return transition
end

-- Makes a cached transition, and gives the new header up to the token.
local function repeat_transition(transition, id, raw, token, time)
  if transition.time ~= time then
    local at = packed_time(time)
    transition.time, transition.start = time, transition.head .. at .. transition.tail
    transition.line = table.concat(transition.lines, at)
  end
  changed[id] = transition.start .. token .. sub(raw, REGISTRATION) .. transition.line
  add_to_count(transition.from, -1)
  add_to_count(transition.to, 1)
  if transition.index then transition.index(id, (parse('>I6', raw, REGISTRATION))) end
  if transition.former_owner then lost[id] = transition.former_owner end
  if transition.new_owner then gained[id] = transition.new_owner end
  if transition.was_paused then drop_waits(id) end
  if transition.completion then retain(transition.retention, id) end
  if transition.is_unsuccessful then index_unsuccessful(id, (parse('>I6', raw, REGISTRATION))) end
  if transition.is_watched then notify_watchers(id, transition.start .. token) end
  return transition.start
end
