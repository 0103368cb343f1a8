-- Entries in the order of their registration behind a place, from the indexes that are asked for. Looks at no more than
-- a batch, and gives how far it came when there is more.
local after, id_after, limit, unchanged_for, only_queued = parse('>I6c16I4I6B', ARGV[1])
local statuses, task = ARGV[2], ARGV[3]
local BATCH = 500
local till = now() - unchanged_for

-- The rank of the first member behind the place.
local function start_of(index)
  local low = call('ZCOUNT', index, '-inf', '(' .. after)
  local high = low + call('ZCOUNT', index, after, after)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if call('ZRANGE', index, middle, middle)[1] <= id_after then low = middle + 1 else high = middle end
  end
  return low
end

local function wanted(e)
  if only_queued == 1 then return e[E.at] <= till end
  return (statuses == '' or string.find(statuses, string.char(e[E.status]), 1, true)) and (task == '' or e[E.task] == task)
end

local function add(found, index)
  local start = start_of(index)
  local members = call('ZRANGE', index, start, start + BATCH, 'WITHSCORES')
  for place = 1, #members, 2 do found[#found + 1] = {tonumber(members[place + 1]), members[place]} end
end

local found = {}
add(found, K.queued)
if only_queued == 0 then add(found, K.rest) end
table.sort(found, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
local replies = {''}
for place = 1, math.min(#found, BATCH) do
  local at, id = found[place][1], found[place][2]
  local e = read(id)
  if e and wanted(e) then replies[#replies + 1] = id .. e[E.raw] end
  if #replies > limit or place == BATCH then
    if place < #found then replies[1] = pack('>I6c16', at, id) end
    break
  end
end
return replies
