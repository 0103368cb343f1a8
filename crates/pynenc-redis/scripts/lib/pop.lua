-- Tokens that were put before everything was taken would wake for nothing; what is left is for other poppers.
local function settle_tokens(queue, is_empty)
  local count = is_empty and 0 or call('ZCARD', K.ready .. queue)
  if count > 0 then put_tokens(queue, count) else call('DEL', K.wake .. queue) end
end

local function drop_stale_tokens(queues)
  for _, queue in ipairs(queues) do call('DEL', K.wake .. queue) end
end

-- Takes the first hints out of a queue. A command that pops would write out every score too.
local function first_ready(queue, count)
  local ids = call('ZRANGE', K.ready .. queue, '0', int(count - 1))
  if #ids > 0 then call('ZREMRANGEBYRANK', K.ready .. queue, '0', int(#ids - 1)) end
  return ids
end

-- Takes up to so many hints, and gives how long it is to the next due time where that is all there was, or -1.
local function pop(queues, left, time)
  local ids, wait = {}, -1
  for _, queue in ipairs(queues) do
    local ahead = promote(queue, time)
    if ahead and (wait < 0 or ahead < wait) then wait = ahead end
    local popped = left > 0 and first_ready(queue, left) or {}
    for _, id in ipairs(popped) do ids[#ids + 1] = id end
    if #popped > 0 then settle_tokens(queue, #popped < left) end
    left = left - #popped
  end
  if #ids == 0 then drop_stale_tokens(queues) end
  return ids, left > 0 and wait or -1
end
