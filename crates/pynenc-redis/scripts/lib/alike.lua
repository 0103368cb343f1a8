-- Steps that this script has made, by all that they depend on: what is asked for, and the entry but for its place in the
-- order and its history. What is like it takes the same step: the bytes are the same, and so are the indexes.
local made = {}

-- All that a step depends on, or nothing where that is more than the entry: keys, slots, watchers, awaited ends.
local function likeness(id, asked)
  local raw = is_batch and not changed[id] and entries[id]
  if type(raw) ~= 'string' then return nil end
  local high, low, running, keyed = byte(raw, 82, 85)
  if running ~= 0 or keyed ~= 0 or byte(raw, 7) ~= 0 or byte(raw, 2) == S.paused then return nil end
  return asked .. sub(raw, 1, 31) .. sub(raw, 38, 75) .. sub(raw, 82, 83 + high * 256 + low), raw
end

-- Remembers what has become of an entry.
local function remember(like, id, raw)
  local e = like and changed[id]
  if not e or is(T.final, e[E.status]) and has_interests then return end
  local was = parsed(raw)
  local was_queued, queued, owner = is_queued(was), is_queued(e), e[E.owner]
  made[like] = {
    header = written(e),
    lines = sub(e[E.raw], #raw + 1),
    from = counter(was_queued, was[E.status], was[E.queue]),
    to = counter(queued, e[E.status], e[E.queue]),
    place_in = queued ~= was_queued and (queued and place_queued or place_rest),
    lost = owner ~= was[E.owner] and was[E.owner] ~= NONE and was[E.owner],
    gained = owner ~= was[E.owner] and owner ~= NONE and owner,
    retained = is(T.final, e[E.status]) and retained[int(kept_for(e))],
  }
end

-- Takes a step again, and gives the entry as it is then.
local function repeated_step(step, id, raw)
  local entry = step.header .. sub(raw, FACTS) .. step.lines
  changed[id] = entry
  count(step.from, -1)
  count(step.to, 1)
  if step.place_in then step.place_in(id, (parse('>I6', raw, FACTS))) end
  if step.lost then lost[id] = step.lost end
  if step.gained then gained[id] = step.gained end
  if step.retained then table.insert(step.retained, id) end
  return entry
end
