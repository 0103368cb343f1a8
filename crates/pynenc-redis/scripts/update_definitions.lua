-- Applies changes in order. A change is its kind, the trigger, the length of a definition, negative if it stays, and
-- the definition. A stored definition begins with the time when it expires, or 0 if it stays.
local time, is_changed = now(), false

-- Of several lengths the longest counts: a definition that stays isn't shortened by a renewal with a length.
local function define(trigger, length, spec)
  local expires = length < 0 and 0 or time + length
  local stored = call('HGET', K.definitions, trigger)
  local before = stored and parse('>I6', stored)
  if not stored or (before > 0 and before <= time) or sub(stored, 7) ~= spec then is_changed = true end
  if before == 0 then expires = 0 elseif before and expires > 0 and before > expires then expires = before end
  call('HSET', K.definitions, trigger, pack('>I6', expires) .. spec)
end

local function remove(trigger)
  call('HDEL', K.definitions, trigger)
  call('SREM', K.paused, trigger)
  is_changed = true
end

local function pause_or_resume(command, trigger)
  if call(command, K.paused, trigger) == 1 then is_changed = true end
end

for i = 1, #ARGV, 4 do
  local kind, trigger = ARGV[i], ARGV[i + 1]
  if kind == 'define' then define(trigger, tonumber(ARGV[i + 2]), ARGV[i + 3]) end
  if kind == 'pause' then pause_or_resume('SADD', trigger) end
  if kind == 'resume' then pause_or_resume('SREM', trigger) end
  if kind == 'remove' then remove(trigger) end
end
if is_changed then call('PUBLISH', K.notifications, 'D') end
return true
