-- Entries behind a place, in the order of their registration or against it, from the indexes that are asked for. Looks
-- at no more than a batch, and gives how far it came when there is more.
local after, id_after, limit, unchanged_for, since, till, only_queued, newest_first, indexes =
  parse('>I6c16I4I6I6I6BBB', ARGV[1])
local statuses, task = ARGV[2], ARGV[3]
local BATCH = 500
local unchanged_since = now() - unchanged_for

-- How many members stand before the place, or are it.
local function count_till(index, is_counted)
  local low = call('ZCOUNT', index, '-inf', '(' .. after)
  local high = low + call('ZCOUNT', index, after, after)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local id = call('ZRANGE', index, middle, middle)[1]
    if id < id_after or (is_counted and id == id_after) then low = middle + 1 else high = middle end
  end
  return low
end

-- The ranks that a batch is among.
local function span(index)
  if newest_first == 0 then
    local first = count_till(index, true)
    return first, first + BATCH
  end
  local last = count_till(index, false) - 1
  return math.max(last - BATCH, 0), last
end

local function wanted(e)
  if only_queued == 1 then return e[E.at] <= unchanged_since end
  return (statuses == '' or string.find(statuses, string.char(e[E.status]), 1, true)) and (task == '' or e[E.task] == task)
end

local function add(found, index)
  local first, last = span(index)
  if last < 0 then return end
  local members = call('ZRANGE', index, first, last, 'WITHSCORES')
  for place = 1, #members, 2 do found[#found + 1] = {tonumber(members[place + 1]), members[place]} end
end

local found = {}
if bit.band(indexes, 1) > 0 then add(found, K.queued) end
if bit.band(indexes, 2) > 0 then add(found, K.rest) end
if bit.band(indexes, 4) > 0 then add(found, K.unsuccessful) end
table.sort(found, function(a, b)
  if newest_first == 1 then a, b = b, a end
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end)
local replies = {''}
for place = 1, math.min(#found, BATCH) do
  local at, id = found[place][1], found[place][2]
  if newest_first == 1 and at < since or newest_first == 0 and at > till then break end
  local e = read(id)
  if e and wanted(e) then replies[#replies + 1] = id .. e[E.raw] end
  if #replies > limit or place == BATCH then
    if place < #found then replies[1] = pack('>I6c16', at, id) end
    break
  end
end
return replies
