-- Inspects invocations: the header with the registration, the log, the holders of the running key, the number of
-- invocations parked before it, and the invocations it waits for. The reply begins with the time.
local MOST_HOLDERS, MOST_READ = 100, 1000
local replies = {now()}

-- Awaited invocations that haven't finished. A wait for a finished one is stored until the waiter's next transition.
local function unfinished(id)
  local found = {}
  for i, awaited in ipairs(call('SMEMBERS', K.awaits .. id)) do
    local raw = i > MOST_READ or entry(awaited)
    if raw and (i > MOST_READ or not contains(T.final, status_of(raw))) then found[#found + 1] = awaited end
  end
  return found
end

local function inspect(id, raw)
  local holders, parked_before, key = {}, false, registration_of(raw).running_key
  if key then
    holders = call('SRANDMEMBER', K.holders .. key, MOST_HOLDERS)
    parked_before = call('ZRANK', K.parked .. key, id)
  end
  return {start_of(raw), log_of(raw), holders, parked_before or -1, unfinished(id)}
end

for i = 1, #ARGV do
  local raw = entry(ARGV[i])
  replies[i + 1] = raw and inspect(ARGV[i], raw) or false
end
return replies
