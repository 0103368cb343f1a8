-- Records a process's channel on an unfinished invocation, to be notified of its completion.
local function add_watcher(id, raw, channel)
  call('SADD', K.watchers .. id, channel)
  if not has_flag(raw, WATCHED) then set_flag(id, raw, WATCHED) end
end

local function add_waits(waiter, ids)
  call_in_chunks('SADD', K.awaits .. waiter, ids)
  for _, id in ipairs(ids) do call('SADD', K.awaited .. id, waiter) end
end
