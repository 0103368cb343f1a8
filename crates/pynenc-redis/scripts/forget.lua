allow_full_memory()
local has_entries = call('EXISTS', K.outbox) == 1
local chunks = {}

local function forget(id)
  local raw = entry(id)
  if not raw or not contains(T.final, status_of(raw)) then return end
  local reg, chunk = registration_of(raw), chunk_of(raw)
  if has_flag(raw, NAMED) then
    for _, name in ipairs(call('SMEMBERS', K.idempotency_keys_of .. id)) do call('HDEL', K.idempotency_keys, name) end
  end
  if has_entries then
    for _, sequence in ipairs(call('SMEMBERS', K.outbox_entries .. id)) do drop_outbox_entry(sequence) end
  end
  call('DEL', K.entry .. id, K.idempotency_keys_of .. id)
  drop_entry(id)
  call('LREM', K.listed .. chunk, '1', id)
  chunks[chunk] = true
  if status_of(raw) ~= S.success then call('ZREM', K.unsuccessful, id) end
  -- An offered invocation isn't in its list any more, and a search through that would take long.
  if call('ZREM', K.outlived, id) == 0 then
    call('LREM', K.retained .. retention_of(reg, status_of(raw)), '1', id)
  end
  add_count(reg, status_of(raw), false, -1)
  count_forgotten(status_of(raw))
end

for _, id in ipairs(ARGV) do run_item(forget, id) end
for chunk in pairs(chunks) do
  if call('EXISTS', K.listed .. chunk) == 0 then call('ZREM', K.chunks, chunk) end
end
flush_indexes()
return true
