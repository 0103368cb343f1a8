allow_full_memory()
for _, id in ipairs(ARGV) do
  local start = call('GETRANGE', K.record .. id, 0, 16)
  if byte(start) == 1 then call('ZREM', K.children .. sub(start, 2), id) end
  call('ZREM', K.record_ages, id)
  call('ZREM', K.workflow_runs, id)
  call('DEL', K.record .. id, K.outcomes .. id, K.fence .. id, K.journal .. id, K.data .. id)
end
return true
