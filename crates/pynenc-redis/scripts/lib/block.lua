-- Whether the waiter may be paused, or is: 'A' if it is, nothing if it may be, and else why not.
local function pausable(e, version, epoch, runner, time)
  local is_current = e[E.version] == version and e[E.epoch] == epoch and e[E.owner] == runner
  if e[E.status] == S.paused and is_current then return 'A' end
  return judged(e, version, epoch, S.paused, A.owner, runner, R.waiting, false, time)
end

local function wait_for(waiter, ids)
  call('SADD', K.awaits .. waiter, unpack(ids))
  for _, id in ipairs(ids) do call('SADD', K.awaited .. id, waiter) end
end
