local service, runner, length, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
local held = call('HGET', K.services, service)
if held then
  local holder, till = parse('>c16I6', held)
  if till > time and holder ~= runner then return 0 end
end
if length == 0 then
  call('HDEL', K.services, service)
  return 0
end
call('HSET', K.services, service, pack('>c16I6', runner, time + length))
return 1
