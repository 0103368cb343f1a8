-- Lists invocations behind a position, in the order of registration or in reverse. Examines one batch: of the chunks in
-- which all are listed, of an index, or of an owner's invocations. The reply begins with the position where the batch
-- ended, if there are more.
local after, id_after, limit, unchanged_for, since, latest, only_queued, newest_first, is_unsuccessful, all_queued =
  parse('>I6c16I4I6I6I6BBBI4', ARGV[1])
local statuses, task, owner = ARGV[2], ARGV[3], ARGV[4]
local SIZE = 500
local unchanged_since, is_reversed = now() - unchanged_for, newest_first == 1

local found, is_more = {}, false

local function is_behind(at, id)
  if is_reversed then return at < after or (at == after and id < id_after) end
  return at > after or (at == after and id > id_after)
end

-- Orders by the time of registration the invocations behind the position that another index has.
local function sort_from(ids)
  prefetch(ids)
  local times = {}
  for _, id in ipairs(ids) do
    local raw = readable_entry(id)
    times[id] = raw and registered_at(raw)
    if raw and is_behind(times[id], id) then found[#found + 1] = id end
  end
  table.sort(found, function(a, b)
    if is_reversed then a, b = b, a end
    return times[a] < times[b] or (times[a] == times[b] and a < b)
  end)
  is_more = #found > SIZE
end

-- A batch of an index that is ordered by the time of registration and then by id.
local function ids_in(index)
  if not is_reversed then
    local first = count_before(index, after, id_after, true)
    return call('ZRANGE', index, first, first + SIZE)
  end
  local last = count_before(index, after, id_after, false) - 1
  return last < 0 and {} or call('ZRANGE', index, math.max(last - SIZE, 0), last)
end

-- The rank of the chunk in which the listing continues, and the place in it: behind the last invocation that was examined.
-- Without a place, the listing continues by time: that invocation is forgotten, or there is none.
local function start()
  local raw = id_after ~= NONE and readable_entry(id_after)
  if raw then
    local chunk = chunk_of(raw)
    local rank, place = call('ZRANK', K.chunks, chunk), call('LPOS', K.listed .. chunk, id_after)
    if rank and place then return rank, is_reversed and place - 1 or place + 1 end
  end
  -- Chunks that begin in the same millisecond may be in the middle of its registrations.
  return math.max(call('ZCOUNT', K.chunks, '-inf', (is_reversed and '' or '(') .. int(after)) - 1, 0)
end

-- At most so many ids of a chunk from a place on, in the order of the listing.
local function ids_of(chunk, place, room)
  if not is_reversed then return call('LRANGE', K.listed .. chunk, place, place + room - 1) end
  local ids, reversed = {}, {}
  if place >= 0 then ids = call('LRANGE', K.listed .. chunk, math.max(place - room + 1, 0), place) end
  for i = #ids, 1, -1 do reversed[#reversed + 1] = ids[i] end
  return reversed
end

local function walk()
  local rank, place = start()
  local is_by_time = not place
  while rank >= 0 and #found < SIZE do
    local chunk, began = unpack(call('ZRANGE', K.chunks, rank, rank, 'WITHSCORES'))
    if not chunk or (not is_reversed and tonumber(began) > latest) then return end
    place = place or (is_reversed and call('LLEN', K.listed .. chunk) - 1 or 0)
    local room = SIZE - #found
    local ids = ids_of(chunk, place, room)
    prefetch(ids)
    for _, id in ipairs(ids) do
      local raw = readable_entry(id)
      if raw and (not is_by_time or is_behind(registered_at(raw), id)) then found[#found + 1] = id end
    end
    if #ids == room then
      place = is_reversed and place - room or place + room
    elseif is_reversed and tonumber(began) < since then
      return
    else
      rank, place = rank + (is_reversed and -1 or 1), nil
    end
  end
  is_more = rank >= 0
end

local function matches(raw)
  local at = registered_at(raw)
  if at < since or at > latest then return false end
  if only_queued == 1 and (changed_at(raw) > unchanged_since or not is_entry_queued(raw)) then return false end
  if owner ~= '' and owner_of(raw) ~= owner then return false end
  if task ~= '' and registration_of(raw).task ~= task then return false end
  return statuses == '' or string.find(statuses, string.char(status_of(raw)), 1, true)
end

if owner ~= '' then
  sort_from(call('SMEMBERS', K.owned .. owner))
elseif is_unsuccessful == 1 then
  sort_from(ids_in(K.unsuccessful))
elseif only_queued == 1 and call('ZCARD', K.waiting) >= all_queued then
  -- All queued invocations were registered without a lane.
  sort_from(ids_in(K.waiting))
else
  walk()
end
local replies = {''}
for i = 1, math.min(#found, SIZE) do
  local raw = readable_entry(found[i])
  if matches(raw) then replies[#replies + 1] = found[i] .. start_of(raw) end
  if #replies > limit or i == SIZE then
    if i < #found or is_more then replies[1] = pack('>I6c16', registered_at(raw), found[i]) end
    break
  end
end
return replies
