allow_full_memory()
local has_entries = call('EXISTS', K.outbox) == 1

local function forget(id)
  local e = read_entry(id)
  if not e or not contains(T.final, e[E.status]) then return end
  if e[E.has_idempotency_key] == 1 then
    for _, name in ipairs(call('SMEMBERS', K.idempotency_keys_of .. id)) do call('HDEL', K.idempotency_keys, name) end
  end
  if has_entries then
    for _, sequence in ipairs(call('SMEMBERS', K.outbox_entries .. id)) do drop_outbox_entry(sequence) end
  end
  call('DEL', K.entry .. id, K.details .. id, K.idempotency_keys_of .. id)
  call('ZREM', K.rest, id)
  if e[E.status] ~= S.success then call('ZREM', K.unsuccessful, id) end
  -- An offered invocation isn't in its list any more, and a search through that would take long.
  if call('ZREM', K.outlived, id) == 0 then call('LREM', K.retained .. int(retention_of(e)), 1, id) end
  add_to_count(count_field(false, e[E.status], e[E.queue]), -1)
  -- The record of a forgotten invocation is found by its age. The lane stores records without that index.
  if call('EXISTS', K.record .. id) == 1 then call('ZADD', K.record_ages, int(e[E.registered_at]), id) end
end

for _, id in ipairs(ARGV) do run_item(forget, id) end
flush_indexes()
return true
