-- Tokens that were put before everything was taken would wake for nothing; what is left is for other poppers.
local function settle_tokens(queue)
  local count = call('ZCARD', K.ready .. queue)
  if count > 0 then put_tokens(queue, count) else call('DEL', K.wake .. queue) end
end

local function drop_stale_tokens(queues)
  for _, queue in ipairs(queues) do call('DEL', K.wake .. queue) end
end

-- How long it is to the next due time of any of the queues, or -1.
local function until_due(queues, time)
  local wait = -1
  for _, queue in ipairs(queues) do
    local first = call('ZRANGE', K.delayed .. queue, '0', '0', 'WITHSCORES')
    local ahead = first[2] and math.max(math.floor(first[2] / 1024) - time, 0)
    if ahead and (wait < 0 or ahead < wait) then wait = ahead end
  end
  return wait
end

-- Takes the first hints out of a queue. A command that pops would write out every score too.
local function first_ready(queue, count)
  local ids = call('ZRANGE', K.ready .. queue, '0', int(count - 1))
  if #ids > 0 then call('ZREMRANGEBYRANK', K.ready .. queue, '0', int(#ids - 1)) end
  return ids
end

-- Takes up to so many hints, and gives how long it is to the next due time where that is all there was.
local function pop(queues, left, time)
  local ids = {}
  for _, queue in ipairs(queues) do
    promote(queue, time)
    local popped = left > 0 and first_ready(queue, left) or {}
    for _, id in ipairs(popped) do ids[#ids + 1] = id end
    left = left - #popped
    if #popped > 0 then settle_tokens(queue) end
  end
  if #ids == 0 then drop_stale_tokens(queues) end
  return ids, left > 0 and until_due(queues, time) or -1
end
