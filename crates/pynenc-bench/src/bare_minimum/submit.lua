-- Stores new invocations and queues them. A repeat changes nothing.
-- KEYS: the prefix of all keys. ARGV: an id and a call for each invocation. Returns whether they were stored.
local prefix = KEYS[1]
local seconds, micros = unpack(redis.call('TIME'))
local millis = string.format('%.0f', seconds * 1000 + math.floor(micros / 1000))
local time = struct.pack('>I8', millis)
local head = 'Q' .. string.rep('\0', 24) .. time .. time
local writes, queued = {}, {}
for at = 1, #ARGV, 2 do
  local id = ARGV[at]
  writes[at], writes[at + 1] = prefix .. 'i' .. id, head .. ARGV[at + 1]
  queued[at], queued[at + 1] = millis, id
end
if redis.call('MSETNX', unpack(writes)) == 0 then
  return 0
end
redis.call('ZADD', prefix .. 'queue', unpack(queued))
redis.call('HINCRBY', prefix .. 'counts', 'queued', #ARGV / 2)
return 1
