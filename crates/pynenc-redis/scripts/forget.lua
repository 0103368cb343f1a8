pass_without_memory()
local has_entries = call('EXISTS', K.outbox) == 1

local function forget(id)
  local e = read(id)
  if not e or not is(T.final, e[E.status]) then return end
  if e[E.named] == 1 then
    for _, name in ipairs(call('SMEMBERS', K.named .. id)) do call('HDEL', K.names, name) end
  end
  if has_entries then
    for _, sequence in ipairs(call('SMEMBERS', K.noted .. id)) do drop_entry(sequence) end
  end
  call('DEL', K.entry .. id, K.details .. id, K.named .. id)
  call('ZREM', K.rest, id)
  if e[E.status] ~= S.success then call('ZREM', K.unsuccessful, id) end
  call('LREM', K.retained .. int(kept_for(e)), 1, id)
  call('ZREM', K.kept_longer, id)
  count(counter(false, e[E.status], e[E.queue]), -1)
  -- A record that a lane wrote is found by its invocation; without that, by its age.
  if call('EXISTS', K.record .. id) == 1 then call('ZADD', K.aged, int(e[E.place]), id) end
end

for _, id in ipairs(ARGV) do guarded(forget, id) end
flush_indexes()
return true
