pass_without_memory()
for _, waiter in ipairs(ARGV) do
  for _, line in ipairs(call('SMEMBERS', K.waits_of .. waiter)) do call('SREM', K.event_waits .. line, waiter) end
  call('DEL', K.waits_of .. waiter)
  call('ZREM', K.awoken, waiter)
end
return true
