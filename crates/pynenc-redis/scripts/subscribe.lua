-- Subscribes listeners to kinds of completions. A subscription is a kind and a listener. The field of a kind has all
-- its listeners, each behind the time when its subscription expires.
local time = now()
local new_expires = time + tonumber(ARGV[1])

local function subscribe(kind, listener)
  local stored, position, others, expires = call('HGET', K.interests, kind) or '', 1, '', new_expires
  while position <= #stored do
    local stored_expires, name, next_position = parse('>I6I2c0', stored, position)
    if name == listener then
      expires = math.max(stored_expires, new_expires)
    elseif stored_expires > time then
      others = others .. sub(stored, position, next_position - 1)
    end
    position = next_position
  end
  call('HSET', K.interests, kind, others .. pack('>I6I2c0', expires, #listener, listener))
end

for i = 2, #ARGV, 2 do subscribe(ARGV[i], ARGV[i + 1]) end
return true
