-- Steps that were made before, by all that they depend on: what is asked for, and the entry but for its place in the order,
-- its history, its token and the time. What is like it takes the same step: the same bytes, at another time, and the same
-- indexes. They outlive the call, as far as the server keeps functions.
local lasting = {steps = {}, registrations = {}, count = 0}
local MANY, LONG, NO_TIME = 500, 32, '\0\0\0\0\0\0'
-- The time as entries have it.
local stamp

local function stamped(time)
  stamp = stamp or pack('>I6', time)
  return stamp
end

-- Makes room for one more.
local function note_one()
  if lasting.count >= MANY then lasting.steps, lasting.registrations, lasting.count = {}, {}, 0 end
  lasting.count = lasting.count + 1
end

local function keep_step(asked, like, step)
  note_one()
  local steps = lasting.steps[asked] or {}
  lasting.steps[asked], steps[like] = steps, step
end

-- What a step depends on beside what is asked for, or nothing where that is more than the entry: keys, slots, the time.
-- A long life has no like.
local function likeness(raw)
  if sub(raw, 8, 10) ~= '\0\0\0' or byte(raw, 11) > LONG then return nil end
  local high, low, running, keyed = byte(raw, 82, 85)
  if running ~= 0 or keyed ~= 0 or sub(raw, 38, 43) ~= NO_TIME then return nil end
  return sub(raw, 1, 31) .. sub(raw, 44, 59) .. sub(raw, 84, 83 + high * 256 + low)
end

-- Lines of history, cut where their times are.
local function timeless(lines)
  local parts, from, place = {}, 1, 1
  while place <= #lines do
    parts[#parts + 1] = sub(lines, from, place + 1)
    from = place + 8
    place = place + 13 + (bit.band(byte(lines, place + 12), 2) == 0 and 0 or 16)
  end
  parts[#parts + 1] = sub(lines, from)
  return parts
end

-- Remembers what has become of an entry.
local function remember(asked, like, id, raw)
  local e = changed[id]
  if type(e) ~= 'table' or e[E.raw] == raw or e[E.due] ~= 0 then return end
  local was = parsed(raw)
  local was_queued, queued, owner = is_queued(was), is_queued(e), e[E.owner]
  local ends = is(T.final, e[E.status]) and ending(e)
  keep_step(asked, like, {
    head = sub(e[E.raw], 1, 31),
    tail = sub(e[E.raw], 38, 59),
    lines = timeless(sub(e[E.raw], #raw + 1)),
    from = counter(was_queued, was[E.status], was[E.queue]),
    to = counter(queued, e[E.status], e[E.queue]),
    place_in = queued ~= was_queued and (queued and place_queued or place_rest),
    lost = owner ~= was[E.owner] and was[E.owner] ~= NONE and was[E.owner],
    gained = owner ~= was[E.owner] and owner ~= NONE and owner,
    ends = ends,
    ends_waits = was[E.status] == S.paused,
    is_watched = ends and e[E.watched] == 1,
    kept = ends and int(kept_for(e)),
    is_unsuccessful = ends and e[E.status] ~= S.success,
  })
end

-- A step that was made before, if it may be made again: who wants an end is told of each by itself.
local function known_step(asked, like)
  local steps = lasting.steps[asked]
  local step = steps and steps[like]
  if step and step.ends and interest_in(step.ends) then return nil end
  return step
end

-- Makes a step again, and gives the header behind it, up to the token.
local function step_again(step, id, raw, token, time)
  if step.time ~= time then
    local at = stamped(time)
    step.time, step.start, step.line = time, step.head .. at .. step.tail, table.concat(step.lines, at)
  end
  changed[id] = step.start .. token .. sub(raw, FACTS) .. step.line
  count(step.from, -1)
  count(step.to, 1)
  if step.place_in then step.place_in(id, (parse('>I6', raw, FACTS))) end
  if step.lost then lost[id] = step.lost end
  if step.gained then gained[id] = step.gained end
  if step.ends_waits then end_waits(id) end
  if step.ends then retain(step.kept, id) end
  if step.is_unsuccessful then note_unsuccessful(id, (parse('>I6', raw, FACTS))) end
  if step.is_watched then tell_watchers(id, step.start .. token) end
  return step.start
end
