-- Leaves as many wake tokens as there are ready hints. Tokens of popped hints would wake consumers for nothing.
local function adjust_wake_tokens(queue, is_empty)
  local count = is_empty and 0 or call('ZCARD', K.ready .. queue)
  if count > 0 then add_wake_tokens(queue, count) else call('DEL', K.wake .. queue) end
end

local function drop_wake_tokens(queues)
  for _, queue in ipairs(queues) do call('DEL', K.wake .. queue) end
end

-- Takes the first hints out of a queue. ZPOPMIN would write out every score too.
local function take_ready(queue, count)
  local ids = call('ZRANGE', K.ready .. queue, '0', int(count - 1))
  if #ids > 0 then call('ZREMRANGEBYRANK', K.ready .. queue, '0', int(#ids - 1)) end
  return ids
end

-- Takes at most 'left' hints. Gives the hints, and the time until the next one is due, or -1.
local function pop_hints(queues, left, time)
  local ids, wait = {}, -1
  for _, queue in ipairs(queues) do
    local remaining = promote_due(queue, time)
    if remaining and (wait < 0 or remaining < wait) then wait = remaining end
    local popped = left > 0 and take_ready(queue, left) or {}
    for _, id in ipairs(popped) do ids[#ids + 1] = id end
    if #popped > 0 then adjust_wake_tokens(queue, #popped < left) end
    left = left - #popped
  end
  if #ids == 0 then drop_wake_tokens(queues) end
  return ids, left > 0 and wait or -1
end
