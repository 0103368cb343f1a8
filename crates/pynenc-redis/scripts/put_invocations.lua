-- Stores the records of calls, unless there is one. A record begins with a byte that tells whether the parent's id follows.
local time = now()
for i = 1, #ARGV, 2 do
  local id, record = ARGV[i], ARGV[i + 1]
  if call('SET', K.record .. id, record, 'NX') then
    if byte(record) == 1 then call('ZADD', K.children .. sub(record, 2, 17), '0', id) end
    call('ZADD', K.record_ages, int(time), id)
  end
end
return true
