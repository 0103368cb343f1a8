-- Finds the deadlock that 'start' would close by waiting for 'on': the wait cycle from 'start' back to 'start', or nil.
-- A node is 'c' and an invocation, or 'k' and a running key. An invocation is stuck if one that it waits for is stuck.
-- A running key is stuck if all of its holders are stuck.
local function wait_cycle(start, on)
  start = 'c' .. start

  -- The nodes that a node waits for.
  local function waited_for(node)
    local name, next = sub(node, 2), {}
    if byte(node) == 107 then
      for _, id in ipairs(call('SMEMBERS', K.holders .. name)) do next[#next + 1] = 'c' .. id end
      return next
    end
    for _, id in ipairs(call('SMEMBERS', K.awaits .. name)) do next[#next + 1] = 'c' .. id end
    local raw = entry(name)
    if raw and status_of(raw) == S.concurrency_controlled then
      next[#next + 1] = 'k' .. registration_of(raw).running_key
    end
    return next
  end

  -- The nodes that wait for a node.
  local function waiters(node)
    local name, next = sub(node, 2), {}
    if byte(node) == 107 then
      for _, id in ipairs(call('ZRANGE', K.parked .. name, 0, -1)) do next[#next + 1] = 'c' .. id end
      return next
    end
    for _, id in ipairs(call('SMEMBERS', K.awaited .. name)) do next[#next + 1] = 'c' .. id end
    local raw = entry(name)
    local key = raw and registration_of(raw).running_key
    if key and call('SISMEMBER', K.holders .. key, name) == 1 then next[#next + 1] = 'k' .. key end
    return next
  end

  local function search(nodes)
    local seen, open = {}, {}
    for _, node in ipairs(nodes) do seen[node], open[#open + 1] = true, node end
    return seen, open, 0
  end

  local function add(seen, open, nodes)
    for _, node in ipairs(nodes) do
      if not seen[node] then seen[node], open[#open + 1] = true, node end
    end
  end

  -- The cost of reading a node's waiters.
  local function cost_of(node)
    return byte(node) == 107 and math.max(call('ZCARD', K.parked .. sub(node, 2)), 1) or 1
  end

  -- Searches from both ends at once: one end is nearly always a new invocation without waits. Each step is made at the
  -- cheaper end, so a long line of parked invocations is read last.
  local function is_connected()
    local down, down_open, down_spent = search(on)
    local up, up_open, up_spent = search({start})
    while #down_open > 0 and #up_open > 0 do
      local cost = cost_of(up_open[#up_open])
      if up_spent + cost <= down_spent + 1 then
        local node = table.remove(up_open)
        if down[node] then return true end
        up_spent = up_spent + cost
        add(up, up_open, waiters(node))
      else
        local node = table.remove(down_open)
        if up[node] then return true end
        down_spent = down_spent + 1
        add(down, down_open, waited_for(node))
      end
    end
    return false
  end

  -- The nodes behind 'on' that can't continue before 'start' does: a least fixpoint.
  local function stuck()
    local reached, open = search(on)
    local waits_for, free = {}, {}
    while #open > 0 do
      local node = table.remove(open)
      if node ~= start then
        local next = waited_for(node)
        waits_for[node] = #next
        if #next == 0 then free[#free + 1] = node end
        add(reached, open, next)
      end
    end
    while #free > 0 do
      local node = table.remove(free)
      if reached[node] then
        reached[node] = nil
        for _, waiter in ipairs(waiters(node)) do
          if waiter ~= start and reached[waiter] then
            waits_for[waiter] = waits_for[waiter] - 1
            if waits_for[waiter] == 0 or byte(waiter) == 107 then free[#free + 1] = waiter end
          end
        end
      end
    end
    return reached
  end

  local function path_back(before)
    local back, node = {}, start
    repeat
      if byte(node) == 99 then back[#back + 1] = sub(node, 2) end
      node = before[node]
    until node == start
    back[#back + 1] = sub(start, 2)
    local cycle = {}
    for i = #back, 1, -1 do cycle[#cycle + 1] = back[i] end
    return cycle
  end

  -- The shortest cycle through stuck nodes.
  local function shortest_cycle()
    local held, before, open, first = stuck(), {}, {}, 1
    for _, node in ipairs(on) do open[#open + 1] = {node, start} end
    while open[first] do
      local node, from = open[first][1], open[first][2]
      first = first + 1
      if held[node] and not before[node] then
        before[node] = from
        if node == start then return path_back(before) end
        for _, next in ipairs(waited_for(node)) do open[#open + 1] = {next, node} end
      end
    end
  end

  return is_connected() and shortest_cycle() or nil
end
