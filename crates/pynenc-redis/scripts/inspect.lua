-- Inspects invocations: the entry, the holders of its running key, the number of invocations parked before it, the
-- invocations it waits for, and the details of its history. The reply begins with the time.
local MOST_HOLDERS, MOST_READ = 100, 1000
local replies = {now()}

-- Awaited invocations that haven't finished. A wait for a finished one is stored until the waiter's next transition.
local function unfinished(id)
  local found = {}
  for i, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    local e = i > MOST_READ or read_entry(awaited)
    if e and (i > MOST_READ or not contains(T.final, e[E.status])) then found[#found + 1] = awaited end
  end
  return found
end

local function inspect(id, e)
  local holders, parked_before = {}, false
  if e[E.when_blocked] > 0 then
    local key = running_key(e)
    holders = call('SRANDMEMBER', K.holders .. key, MOST_HOLDERS)
    parked_before = call('ZRANK', K.parked .. key, id)
  end
  return {e[E.raw], holders, parked_before or -1, unfinished(id), call('HGETALL', K.details .. id)}
end

for i = 1, #ARGV do
  local e = read_entry(ARGV[i])
  replies[i + 1] = e and inspect(ARGV[i], e) or false
end
return replies
