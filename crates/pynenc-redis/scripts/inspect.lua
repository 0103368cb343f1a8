-- Entries with who has the slots of their keys, how many are parked before them, and what they wait for.
local MOST, SEEN = 100, 1000
local replies = {now()}

-- Some of what it waits for may have ended since; its waits are dropped with its next transition.
local function living(id)
  local found = {}
  for _, awaited in ipairs(call('SRANDMEMBER', K.awaits .. id, SEEN)) do
    local e = #found < MOST and read(awaited)
    if e and not is(T.final, e[E.status]) then found[#found + 1] = awaited end
  end
  return found
end

local function inspected(id, e)
  local holders, before = {}, false
  if e[E.running] > 0 then
    local key = running_key(e)
    holders = call('SRANDMEMBER', K.holders .. key, MOST)
    before = call('ZRANK', K.parked .. key, id)
  end
  return {e[E.raw], holders, before or -1, living(id)}
end

for place = 1, #ARGV do
  local e = read(ARGV[place])
  replies[place + 1] = e and inspected(ARGV[place], e) or false
end
return replies
