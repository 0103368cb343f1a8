local function retire_runner(runner, time)
  local known = call('HGET', K.runners, runner) or pack('>I6I6I6', time, T.first_lease, 0)
  local last, lease, retired, rest = parse('>I6I6I6', known)
  call('ZREM', K.leases, runner)
  if retired > 0 then return end
  call('HSET', K.runners, runner, pack('>I6I6I6', last, lease, time) .. sub(known, rest))
  call('ZADD', K.retired, time, runner)
end
