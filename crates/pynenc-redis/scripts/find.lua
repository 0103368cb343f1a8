-- Lists entries behind a position, in the order of registration or in reverse. Examines one batch of the requested
-- indexes, or of an owner's invocations. The reply begins with the position where the batch ended, if there are more.
local after, id_after, limit, unchanged_for, since, latest, only_queued, newest_first, indexes =
  parse('>I6c16I4I6I6I6BBB', ARGV[1])
local statuses, task, owner = ARGV[2], ARGV[3], ARGV[4]
local SIZE = 500
local unchanged_since = now() - unchanged_for

-- The ranks of the batch in an index.
local function batch_ranks(index)
  if newest_first == 0 then
    local first = count_before(index, after, id_after, true)
    return first, first + SIZE
  end
  local last = count_before(index, after, id_after, false) - 1
  return math.max(last - SIZE, 0), last
end

local found = {}

local function add_from(index)
  local first, last = batch_ranks(index)
  if last < 0 then return end
  local members = call('ZRANGE', index, first, last, 'WITHSCORES')
  for i = 1, #members, 2 do found[#found + 1] = {tonumber(members[i + 1]), members[i]} end
end

local function is_behind(at, id)
  if newest_first == 1 then return at < after or (at == after and id < id_after) end
  return at > after or (at == after and id > id_after)
end

local function add_owned()
  for _, id in ipairs(call('SMEMBERS', K.owned .. owner)) do
    local e = read_entry(id)
    if e and is_behind(e[E.registered_at], id) then found[#found + 1] = {e[E.registered_at], id} end
  end
end

local function matches(e)
  if only_queued == 1 and (e[E.at] > unchanged_since or not is_queued(e)) then return false end
  if owner ~= '' and e[E.owner] ~= owner then return false end
  if task ~= '' and e[E.task] ~= task then return false end
  return statuses == '' or string.find(statuses, string.char(e[E.status]), 1, true)
end

if owner ~= '' then
  add_owned()
else
  if bit.band(indexes, 1) > 0 then add_from(K.queued) end
  if bit.band(indexes, 2) > 0 then add_from(K.rest) end
  if bit.band(indexes, 4) > 0 then add_from(K.unsuccessful) end
end
table.sort(found, function(a, b)
  if newest_first == 1 then a, b = b, a end
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end)
local replies = {''}
for i = 1, math.min(#found, SIZE) do
  local at, id = found[i][1], found[i][2]
  if newest_first == 1 and at < since or newest_first == 0 and at > latest then break end
  local e = read_entry(id)
  if e and matches(e) then replies[#replies + 1] = id .. e[E.raw] end
  if #replies > limit or i == SIZE then
    if i < #found then replies[1] = pack('>I6c16', at, id) end
    break
  end
end
return replies
