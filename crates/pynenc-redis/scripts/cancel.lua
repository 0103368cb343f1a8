local time = now()
pass_without_memory()

local function cancel(id)
  local e = read(id)
  if not e then return 'M' end
  if is(T.final, e[E.status]) then return 'F' .. string.char(e[E.status]) end
  if e[E.owner] ~= NONE then
    e[E.cancel] = 1
    write(id, e, '')
    call('SADD', K.cancels .. e[E.owner], id)
    call('PUBLISH', K.signals .. e[E.owner], 'C' .. id)
    return 'Q'
  end
  local handed = {}
  enter_and_free(id, e, S.cancelled, A.system, NONE, 0, R.cancel_requested, nil, handed, time)
  return reply_with('C', handed)
end

local replies = {}
for place = 1, #ARGV do replies[place] = guarded(cancel, ARGV[place]) end
flush_indexes()
return replies
