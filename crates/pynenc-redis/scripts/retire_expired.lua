-- Retires runners whose lease has expired, unless there is an amnesty. Lists the invocations of retired runners.
local left, time = tonumber(ARGV[1]), now()
allow_full_memory()
local alive = call('GET', K.alive)
local last, amnesty = 0, 0
if alive then last, amnesty = parse('>I6I6', alive) end

-- If all runners are silent, the store itself was down. If the last heartbeat is in the future, the clock has gone
-- back, and the next heartbeat begins every lease anew.
local function retire_unless_all_silent(runner)
  local known = call('HGET', K.runners, runner)
  local lease = known and select(2, parse('>I6I6', known)) or T.first_lease
  if last <= time and time - last < lease / 2 then retire_runner(runner, time) end
end

if time >= amnesty then
  for _, runner in ipairs(call('ZRANGEBYSCORE', K.leases, '-inf', time, 'LIMIT', 0, 500)) do
    retire_unless_all_silent(runner)
  end
end

local function forget_if_old(runner)
  local _, lease, retired = parse('>I6I6I6', call('HGET', K.runners, runner))
  if time - retired < lease * T.remembered_leases then return end
  call('HDEL', K.runners, runner)
  call('HDEL', K.introductions, runner)
  call('ZREM', K.retired, runner)
  call('DEL', K.cancels .. runner)
end

local replies = {}
for _, runner in ipairs(call('ZRANGE', K.retired, 0, -1)) do
  local owned = call('SRANDMEMBER', K.owned .. runner, math.max(left, 1))
  if #owned == 0 then forget_if_old(runner) end
  for i = 1, math.min(#owned, left) do
    local raw = readable_entry(owned[i])
    if raw then
      replies[#replies + 1] = runner
      replies[#replies + 1] = owned[i] .. start_of(raw)
      left = left - 1
    end
  end
end
return replies
