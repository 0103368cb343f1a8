-- Pops invocations from the queue, claims the queued ones for a runner, and returns them with their calls.
-- KEYS: the prefix of all keys. ARGV: the runner, the token of the claim, the maximum. Returns an id and a call for each.
local prefix, runner, token = KEYS[1], ARGV[1], ARGV[2]
local queue = prefix .. 'queue'
local ids = redis.call('ZRANGE', queue, 0, ARGV[3] - 1)
if #ids == 0 then
  return {}
end
local seconds, micros = unpack(redis.call('TIME'))
local head = 'R' .. token .. runner .. struct.pack('>I8', seconds * 1000 + math.floor(micros / 1000))
local keys = {}
for at, id in ipairs(ids) do
  keys[at] = prefix .. 'i' .. id
end
local writes, owned, taken, count = {}, {}, {}, 0
for at, value in ipairs(redis.call('MGET', unpack(keys))) do
  if value and string.byte(value) == 81 then -- Q
    count = count + 1
    owned[count] = ids[at]
    writes[2 * count - 1], writes[2 * count] = keys[at], head .. string.sub(value, 34)
    taken[2 * count - 1], taken[2 * count] = ids[at], string.sub(value, 42)
  end
end
redis.call('ZREMRANGEBYRANK', queue, 0, #ids - 1)
if count > 0 then
  redis.call('MSET', unpack(writes))
  redis.call('SADD', prefix .. 'owned' .. runner, unpack(owned))
  redis.call('HINCRBY', prefix .. 'counts', 'queued', -count)
  redis.call('HINCRBY', prefix .. 'counts', 'running', count)
end
return taken
