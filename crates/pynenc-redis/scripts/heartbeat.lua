-- Renews a runner's lease, or retires the runner if the lease is zero. Gives whether the runner is introduced, and its
-- invocations with a cancel request; false if the runner is retired.
local runner, description, introduction = ARGV[1], ARGV[4], ARGV[5]
local lease, interval, time = tonumber(ARGV[2]), tonumber(ARGV[3]), now()
allow_full_memory()
if lease == 0 then
  retire_runner(runner, time)
  return false
end
local known = call('HGET', K.runners, runner)
if known then
  local _, _, retired = parse('>I6I6I6', known)
  if retired > 0 then return false end
end
local alive = call('GET', K.alive)
local last, amnesty = 0, 0
if alive then last, amnesty = parse('>I6I6', alive) end
if last == 0 or time - last >= lease / 2 then amnesty = time + 2 * interval end
-- The server's clock has gone back. A lease might end hours later, so every lease begins anew, and service leases are
-- free.
if last > time then
  amnesty = time + 2 * interval
  call('DEL', K.services)
  for _, other in ipairs(call('ZRANGE', K.leases, 0, -1)) do
    local stored, length = call('HGET', K.runners, other), T.first_lease
    if stored then
      length = select(2, parse('>I6I6', stored))
      call('HSET', K.runners, other, pack('>I6', time) .. sub(stored, 7))
    end
    call('ZADD', K.leases, time + length, other)
  end
end
call('SET', K.alive, pack('>I6I6', time, amnesty))
call('HSET', K.runners, runner, pack('>I6I6I6', time, lease, 0) .. description)
call('ZADD', K.leases, time + lease, runner)
if introduction ~= '' then call('HSET', K.introductions, runner, introduction) end
local reply = {call('HEXISTS', K.introductions, runner)}
for _, id in ipairs(call('SMEMBERS', K.cancels .. runner)) do
  local raw = readable_entry(id)
  if raw and owner_of(raw) == runner and has_flag(raw, CANCEL_REQUESTED) then
    reply[#reply + 1] = id
  else
    call('SREM', K.cancels .. runner, id)
  end
end
return reply
