-- Cancels waiting invocations, and requests the cancellation of owned ones.
local time = now()
allow_full_memory()

local function cancel(id)
  local e = read_entry(id)
  if not e then return 'M' end
  if contains(T.final, e[E.status]) then return 'F' .. string.char(e[E.status]) end
  if e[E.owner] ~= NONE then
    e[E.cancel_requested] = 1
    write_entry(id, e, '')
    call('SADD', K.cancels .. e[E.owner], id)
    call('PUBLISH', K.signals .. e[E.owner], 'C' .. id)
    return 'Q'
  end
  local handed = {}
  change_status_and_free_slot(id, e, S.cancelled, A.system, NONE, 0, R.cancel_requested, nil, handed, time)
  return reply_with('C', handed)
end

local replies = {}
for i = 1, #ARGV do replies[i] = run_item(cancel, ARGV[i]) end
flush_indexes()
return replies
