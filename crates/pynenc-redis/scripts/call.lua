-- Submits a call, and pauses its caller until it has ended. With a token, it is claimed for the caller's runner too, and
-- needs no hint then. What isn't new is only registered.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[3])
local channel, token, runs_below, time = ARGV[4], ARGV[5], tonumber(ARGV[6]), now()
local id = sub(ARGV[1], 1, 16)

local raw = text(waiter)
if not raw then return {refused('M', 0, 0)} end
local like, asked = likeness(raw), 'p' .. sub(ARGV[3], 17)
local step = like and known_step(asked, like)
local code, one, other
if not step then code, one, other = pausable(read(waiter), version, epoch, runner, time) end
if code and code ~= 'A' then return {refused(code, one, other)} end

local function pause()
  if step then
    step_again(step, waiter, raw, sub(raw, 60, FACTS - 1), time)
  elseif code ~= 'A' then
    enter(waiter, read(waiter), S.paused, A.owner, runner, 0, R.waiting, nil, time)
    if like then remember(asked, like, waiter, raw) end
  end
end

local reply = submit_one(ARGV[1], ARGV[2], are_new({id}), time)
local child = byte(reply) ~= 87 and byte(reply) ~= 67 and text(id)
if not child or is(T.final, byte(child, 2)) then
  flush_indexes()
  return {'S' .. reply}
end

-- One that is new and under no control of concurrency waits for nobody.
local way = (byte(child, FACTS + 8) ~= 0 or byte(reply) == 79) and circle(waiter, {'c' .. id})
local claimed = 0
if not way then
  add_watcher(id, child, channel)
  pause()
  wait_for(waiter, {id})
  -- Behind the wait, so that a slot that its caller holds is seen to close a circle.
  if token ~= '' and may_claim(runner, time) then claimed = claim(id, runner, token, runs_below, time) end
end
local is_claimed = type(claimed) == 'string'
if is_claimed then
  -- It is in no index of what is queued yet.
  fresh = {}
else
  local e = read(id)
  if is_queued(e) then push(e[E.queue], id, T.raised, e[E.due], time) end
end
flush_indexes()
wake_poppers()
if way then return reply_with('K', way) end
return {'W', sub(text(waiter), 1, FACTS - 1), reply, is_claimed and text(id)}
