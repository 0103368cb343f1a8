allow_full_memory()

-- The invocation whose task function made the call; nil if none did. The lane stores it in the entry.
local function parent_of(id)
  local record = call('GETRANGE', K.record .. id, 0, 16)
  if record ~= '' then return byte(record) == 1 and sub(record, 2) or nil end
  local raw = readable_entry(id)
  return raw and has_flag(raw, HAS_PARENT) and parent_in(rest_of(raw)) or nil
end

for _, id in ipairs(ARGV) do
  local parent = parent_of(id)
  if parent then call('ZREM', K.children .. parent, id) end
  call('ZREM', K.record_ages, id)
  call('ZREM', K.workflow_runs, id)
  call('DEL', K.record .. id, K.outcomes .. id, K.fence .. id, K.journal .. id, K.data .. id)
end
return true
