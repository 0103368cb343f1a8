-- Why the lifecycle refuses a transition: a code and two numbers, or nil.
local function refusal(e, to, by, runner, has_due, time)
  local from = e[E.status]
  local actors = byte(T.edges, (from - 1) * T.statuses + to) - 48
  if actors == 0 then return 'E', from, 0 end
  if bit.band(actors, by) == 0 or (by == A.owner and e[E.owner] ~= runner) then return 'W', from, 0 end
  if to == S.retry and not has_due then return 'U', 0, 0 end
  if to ~= S.retry and to ~= S.scheduled and has_due then return 'U', 0, 0 end
  if by ~= A.claimer then return nil end
  if e[E.due] > time then return 'N', e[E.due], time end
  if from == S.scheduled and e[E.due] == 0 then return 'Z', 0, 0 end
  if to == S.concurrency_controlled_final and e[E.starts] > 0 then return 'H', e[E.starts], 0 end
end

-- The same, for a caller that expects a version and an epoch. Gives 'A' for a repeat of the caller's own transition.
local function evaluate(e, version, epoch, to, by, runner, reason, has_due, time)
  local new_epoch = by == A.owner and epoch or epoch + 1
  local is_reached = e[E.status] == to and e[E.reason] == reason
  local is_cancelled_instead = e[E.status] == S.cancelled and contains(T.claimable, to)
  local is_next = e[E.version] == version + 1 and e[E.epoch] == new_epoch
  if is_next and (is_reached or is_cancelled_instead) then return 'A' end
  if e[E.version] ~= version or e[E.epoch] ~= epoch then return 'S', e[E.version], e[E.epoch] end
  return refusal(e, to, by, runner, has_due, time)
end

local function refusal_reply(code, first, second)
  return 'R' .. code .. pack('>I6I6', first, second)
end
