-- Submits a call, and pauses its caller until it has ended. With a token, it is claimed for the caller's runner too, and
-- needs no hint then. What isn't new is only registered.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[3])
local channel, token, runs_below, time = ARGV[4], ARGV[5], tonumber(ARGV[6]), now()
local it = registration(ARGV[1])

local e = read(waiter)
if not e then return {refused('M', 0, 0)} end
local code, one, other = pausable(e, version, epoch, runner, time)
if code and code ~= 'A' then return {refused(code, one, other)} end

local reply = submit(it, ARGV[2], are_new({it.id}), time)
local child = byte(reply) ~= 87 and byte(reply) ~= 67 and read(it.id)
if not child or is(T.final, child[E.status]) then
  flush_records()
  flush_indexes()
  return {'S' .. reply}
end

-- One that is new and under no control of concurrency waits for nobody.
local way = (child[E.running] ~= 0 or byte(reply) == 79) and circle(waiter, {'c' .. it.id})
local claimed = 0
if not way then
  add_watcher(it.id, child, channel)
  if code ~= 'A' then enter(waiter, e, S.paused, A.owner, runner, 0, R.waiting, nil, time) end
  wait_for(waiter, {it.id})
  -- Behind the wait, so that a slot that its caller holds is seen to close a circle.
  if token ~= '' and may_claim(runner, time) then claimed = claim(it.id, runner, token, runs_below, time) end
end
if is_queued(child) then push(it.queue or child[E.queue], it.id, T.raised, child[E.due], time) end
flush_records()
flush_indexes()
wake_poppers()
if way then return reply_with('K', way) end
return {'W', written(e), reply, type(claimed) == 'string' and child[E.raw]}
