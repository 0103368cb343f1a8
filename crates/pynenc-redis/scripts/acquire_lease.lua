-- Acquires, renews or releases the lease on a service. Gives 1 if the runner has the lease now.
local service, runner, length, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
allow_full_memory()
local held = call('HGET', K.services, service)
if held then
  local holder, expires = parse('>c16I6', held)
  if expires > time and holder ~= runner then return 0 end
end
if length == 0 then
  call('HDEL', K.services, service)
  return 0
end
call('HSET', K.services, service, pack('>c16I6', runner, time + length))
return 1
