-- Stores occurrences, then looks up waiting ones. An occurrence is its id, trigger, condition, time, expiry and
-- context. A lookup is a trigger, a condition and a time; its reply is a list of ids, each followed by the stored
-- occurrence.
local limit, replies = ARGV[1], {}
local lookups = 3 + 6 * tonumber(ARGV[2])

for i = 3, lookups - 1, 6 do
  local id, trigger, condition, at, expires = unpack(ARGV, i, i + 4)
  if call('HEXISTS', K.occurrences, id) == 0 then
    local position = pack('>I6', call('INCR', K.trigger_last)) .. id
    local index = pack('>I4', condition) .. trigger
    local stored = pack('>I6I6I2c0I2c0', at, expires, #index, index, #position, position)
    call('HSET', K.occurrences, id, stored .. ARGV[i + 5])
    call('ZADD', K.waiting_occurrences .. index, at, position)
    call('ZADD', K.occurrence_expiries, expires, id)
  end
end

for i = lookups, #ARGV, 3 do
  local index = K.waiting_occurrences .. pack('>I4', ARGV[i + 1]) .. ARGV[i]
  local reply = {}
  for _, position in ipairs(call('ZRANGEBYSCORE', index, ARGV[i + 2], '+inf', 'LIMIT', 0, limit)) do
    local id = sub(position, 7)
    reply[#reply + 1] = id
    reply[#reply + 1] = call('HGET', K.occurrences, id)
  end
  replies[#replies + 1] = reply
end
return replies
