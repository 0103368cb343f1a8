-- Checks whether the waiter may be paused. Gives nil if it may, 'A' if it is paused already, and else a refusal.
local function check_pause(e, version, epoch, runner, time)
  local is_current = e[E.version] == version and e[E.epoch] == epoch and e[E.owner] == runner
  if e[E.status] == S.paused and is_current then return 'A' end
  return evaluate(e, version, epoch, S.paused, A.owner, runner, R.waiting, false, time)
end

local function add_waits(waiter, ids)
  call('SADD', K.awaits .. waiter, unpack(ids))
  for _, id in ipairs(ids) do call('SADD', K.awaited .. id, waiter) end
end
