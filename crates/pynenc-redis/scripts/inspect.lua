-- Entries with who has the slots of their keys, how many are parked before them, and what they wait for.
local MOST, SEEN = 100, 1000
local replies = {now()}

-- Some of what it waits for may have ended since; its waits are dropped with its next transition.
local function living(id)
  local found = {}
  for place, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    local e = place > SEEN or read(awaited)
    if e and (place > SEEN or not is(T.final, e[E.status])) then found[#found + 1] = awaited end
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
