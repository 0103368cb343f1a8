-- The way from `start` back to `start`, if it could never go on once it waited for `on`. A node is 'c' and an
-- invocation, stuck when one that it waits for is, or 'k' and a running key, stuck when all of its holders are.
local function circle(start, on)
  start = 'c' .. start

  local function ahead(node)
    local name, next = sub(node, 2), {}
    if byte(node) == 107 then
      for _, id in ipairs(call('SMEMBERS', K.holders .. name)) do next[#next + 1] = 'c' .. id end
      return next
    end
    for _, id in ipairs(call('SMEMBERS', K.awaits .. name)) do next[#next + 1] = 'c' .. id end
    local e = read(name)
    if e and e[E.status] == S.concurrency_controlled then next[#next + 1] = 'k' .. running_key(e) end
    return next
  end

  local function behind(node)
    local name, next = sub(node, 2), {}
    if byte(node) == 107 then
      for _, id in ipairs(call('ZRANGE', K.parked .. name, 0, -1)) do next[#next + 1] = 'c' .. id end
      return next
    end
    for _, id in ipairs(call('SMEMBERS', K.awaited .. name)) do next[#next + 1] = 'c' .. id end
    local e = read(name)
    if e and e[E.running] ~= 0 then
      local key = running_key(e)
      if call('SISMEMBER', K.holders .. key, name) == 1 then next[#next + 1] = 'k' .. key end
    end
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

  -- What it costs to look behind a node.
  local function width(node)
    return byte(node) == 107 and math.max(call('ZCARD', K.parked .. sub(node, 2)), 1) or 1
  end

  -- Looked for from both ends at once: one is nearly always a fresh invocation without waits. Each step is made where
  -- it is the cheaper, so that a long line of parked ones is looked at last.
  local function connects()
    local down, down_open, down_spent = search(on)
    local up, up_open, up_spent = search({start})
    while #down_open > 0 and #up_open > 0 do
      local cost = width(up_open[#up_open])
      if up_spent + cost <= down_spent + 1 then
        local node = table.remove(up_open)
        if down[node] then return true end
        up_spent = up_spent + cost
        add(up, up_open, behind(node))
      else
        local node = table.remove(down_open)
        if up[node] then return true end
        down_spent = down_spent + 1
        add(down, down_open, ahead(node))
      end
    end
    return false
  end

  -- Everything that `on` leads to and that can't go on before the start does: a least fixpoint.
  local function stuck()
    local reached, open = search(on)
    local waits_for, fresh = {}, {}
    while #open > 0 do
      local node = table.remove(open)
      if node ~= start then
        local next = ahead(node)
        waits_for[node] = #next
        if #next == 0 then fresh[#fresh + 1] = node end
        add(reached, open, next)
      end
    end
    while #fresh > 0 do
      local free = table.remove(fresh)
      if reached[free] then
        reached[free] = nil
        for _, node in ipairs(behind(free)) do
          if node ~= start and reached[node] then
            waits_for[node] = waits_for[node] - 1
            if waits_for[node] == 0 or byte(node) == 107 then fresh[#fresh + 1] = node end
          end
        end
      end
    end
    return reached
  end

  local function traced(before)
    local back, node = {}, start
    repeat
      if byte(node) == 99 then back[#back + 1] = sub(node, 2) end
      node = before[node]
    until node == start
    back[#back + 1] = sub(start, 2)
    local way = {}
    for place = #back, 1, -1 do way[#way + 1] = back[place] end
    return way
  end

  local function way()
    local held, before, open, first = stuck(), {}, {}, 1
    for _, node in ipairs(on) do open[#open + 1] = {node, start} end
    while open[first] do
      local node, from = open[first][1], open[first][2]
      first = first + 1
      if held[node] and not before[node] then
        before[node] = from
        if node == start then return traced(before) end
        for _, next in ipairs(ahead(node)) do open[#open + 1] = {next, node} end
      end
    end
  end

  return connects() and way() or nil
end
