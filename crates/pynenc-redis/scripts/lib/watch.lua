-- Writes down whom to tell of the end of what hasn't ended.
local function add_watcher(id, e, channel)
  call('SADD', K.watchers .. id, channel)
  if e[E.watched] == 1 then return end
  e[E.watched] = 1
  write(id, e, '')
end
