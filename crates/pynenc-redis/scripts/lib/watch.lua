-- Writes down whom to tell of the end of what hasn't ended.
local function add_watcher(id, raw, channel)
  call('SADD', K.watchers .. id, channel)
  if byte(raw, 7) == 0 then changed[id] = sub(raw, 1, 6) .. '\1' .. sub(raw, 8) end
end
