-- Cancels waiting invocations, and requests the cancellation of owned ones.
local time = now()
allow_full_memory()

local function cancel(id)
  local raw = entry(id)
  if not raw then return 'M' end
  if contains(T.final, status_of(raw)) then return 'F' .. string.char(status_of(raw)) end
  local owner = owner_of(raw)
  if owner ~= NONE then
    if not has_flag(raw, CANCEL_REQUESTED) then set_flag(id, raw, CANCEL_REQUESTED) end
    call('SADD', K.cancels .. owner, id)
    call('PUBLISH', K.signals .. owner, 'C' .. id)
    return 'Q'
  end
  local new, group = change_unowned(id, raw, S.cancelled, R.cancel_requested, 0, '', time)
  return reply_with('C', free_slot(id, new, group.reg, time))
end

local replies = {}
prefetch(ARGV)
for i = 1, #ARGV do replies[i] = run_item(cancel, ARGV[i]) end
flush_indexes()
wake_consumers()
return replies
