local time = now()
allow_full_memory()
for i = 1, #ARGV do
  local id, priority, due, queue = parse('>c16I2I6', ARGV[i])
  push_hint(sub(ARGV[i], queue), id, priority, due, time)
end
wake_consumers()
return true
