-- Completes invocations that a claim with this token owns: appends their outcomes, and keeps them for retention.
-- KEYS: the prefix of all keys. ARGV: the runner, the token of the claim, then an id and an outcome for each.
-- Returns how many were completed.
local prefix, runner, token = KEYS[1], ARGV[1], ARGV[2]
local seconds, micros = unpack(redis.call('TIME'))
local time = struct.pack('>I8', seconds * 1000 + math.floor(micros / 1000))
local owner = token .. runner
local keys = {}
for at = 3, #ARGV, 2 do
  keys[#keys + 1] = prefix .. 'i' .. ARGV[at]
end
local writes, finished, count = {}, {}, 0
for at, value in ipairs(redis.call('MGET', unpack(keys))) do
  if value and string.byte(value) == 82 and string.sub(value, 2, 9) == token then -- R
    count = count + 1
    finished[count] = ARGV[2 * at + 1]
    writes[2 * count - 1] = keys[at]
    writes[2 * count] = 'S' .. owner .. time .. string.sub(value, 34) .. ARGV[2 * at + 2]
  end
end
if count > 0 then
  redis.call('MSET', unpack(writes))
  redis.call('SREM', prefix .. 'owned' .. runner, unpack(finished))
  redis.call('RPUSH', prefix .. 'finished', unpack(finished))
  redis.call('HINCRBY', prefix .. 'counts', 'running', -count)
  redis.call('HINCRBY', prefix .. 'counts', 'success', count)
end
return count
