local function retire(runner, time)
  local known = call('HGET', K.runners, runner) or struct.pack('>I6I6I6', time, T.first_lease, 0)
  local last, lease, retired, rest = struct.unpack('>I6I6I6', known)
  call('ZREM', K.leases, runner)
  if retired > 0 then return end
  call('HSET', K.runners, runner, struct.pack('>I6I6I6', last, lease, time) .. string.sub(known, rest))
  call('ZADD', K.retired, time, runner)
end
