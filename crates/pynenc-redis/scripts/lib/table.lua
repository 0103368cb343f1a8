-- Why there is no way to `to`, and what to say about it.
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

-- Like it, for a caller that has seen the record at a version and an epoch; 'A' for a repeat.
local function judged(e, version, epoch, to, by, runner, reason, has_due, time)
  local made = by == A.owner and epoch or epoch + 1
  local reached = e[E.status] == to and e[E.reason] == reason
  local cancelled_instead = e[E.status] == S.cancelled and is(T.claimable, to)
  if e[E.version] == version + 1 and e[E.epoch] == made and (reached or cancelled_instead) then return 'A' end
  if e[E.version] ~= version or e[E.epoch] ~= epoch then return 'S', e[E.version], e[E.epoch] end
  return refusal(e, to, by, runner, has_due, time)
end

local function refused(code, one, other)
  return 'R' .. code .. pack('>I6I6', one, other)
end
