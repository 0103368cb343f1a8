-- The live definitions: the trigger, then whether it stays, whether it is paused, and the definition.
local time, all, replies = now(), call('HGETALL', K.definitions), {}
for i = 1, #all, 2 do
  local expires, rest = parse('>I6', all[i + 1])
  if expires == 0 or expires > time then
    local flags = pack('>BB', expires == 0 and 1 or 0, call('SISMEMBER', K.paused, all[i]))
    replies[#replies + 1], replies[#replies + 2] = all[i], flags .. sub(all[i + 1], rest)
  else
    call('HDEL', K.definitions, all[i])
  end
end
return replies
