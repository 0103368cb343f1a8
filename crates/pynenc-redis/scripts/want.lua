-- Interests are fields of a status and a task, each with who wants it. A field keeps who wants it and until when.
local time = now()
local till = time + tonumber(ARGV[1])

local function add(field, listener)
  local kept, place, others, ends = call('HGET', K.wanted, field) or '', 1, '', till
  while place <= #kept do
    local kept_till, name, next_place = parse('>I6I2c0', kept, place)
    if name == listener then
      ends = math.max(kept_till, till)
    elseif kept_till > time then
      others = others .. sub(kept, place, next_place - 1)
    end
    place = next_place
  end
  call('HSET', K.wanted, field, others .. pack('>I6I2c0', ends, #listener, listener))
end

for place = 2, #ARGV, 2 do add(ARGV[place], ARGV[place + 1]) end
return true
