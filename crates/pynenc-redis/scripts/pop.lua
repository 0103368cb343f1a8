-- Takes hints from queues in their order. Without any it gives how long it is to the next due time, or -1.
local left, time, ids = tonumber(ARGV[1]), now(), {-1}

local function drop_stale_tokens()
  local lists = {}
  for place = 2, #ARGV do lists[#lists + 1] = K.wake .. ARGV[place] end
  call('DEL', unpack(lists))
end

-- Tokens that were put before everything was taken would wake for nothing; what is left is for other poppers.
local function settle_tokens(queue)
  local count = call('ZCARD', K.ready .. queue)
  if count > 0 then put_tokens(queue, count) else call('DEL', K.wake .. queue) end
end

local function until_due()
  local wait = -1
  for place = 2, #ARGV do
    local first = call('ZRANGE', K.delayed .. ARGV[place], 0, 0, 'WITHSCORES')
    local ahead = first[2] and math.max(math.floor(first[2] / 1024) - time, 0)
    if ahead and (wait < 0 or ahead < wait) then wait = ahead end
  end
  return wait
end

for place = 2, #ARGV do
  promote(ARGV[place], time)
  local popped = left > 0 and call('ZPOPMIN', K.ready .. ARGV[place], left) or {}
  for member = 1, #popped, 2 do ids[#ids + 1] = popped[member] end
  left = left - #popped / 2
  if #popped > 0 then settle_tokens(ARGV[place]) end
end
if #ids == 1 then
  drop_stale_tokens()
  ids[1] = until_due()
end
return ids
