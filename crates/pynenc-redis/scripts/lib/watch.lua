-- Records a process's channel on an unfinished invocation, to be notified of its completion.
local function add_watcher(id, raw, channel)
  call('SADD', K.watchers .. id, channel)
  if byte(raw, 7) == 0 then changed[id] = sub(raw, 1, 6) .. '\1' .. sub(raw, 8) end
end
