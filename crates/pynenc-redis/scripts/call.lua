-- Submits a call, and pauses its caller until the call has finished. With a token, claims the call for the caller's
-- runner too, so it needs no hint. If another invocation stands for the call, the script only replies to the
-- registration.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[3])
local channel, token, runs_below, time = ARGV[4], ARGV[5], tonumber(ARGV[6]), now()
local id = sub(ARGV[1], 1, 16)

local raw = raw_entry(waiter)
if not raw then return {refusal_reply('M', 0, 0)} end
local state, request = state_of(raw), 'p' .. sub(ARGV[3], 17)
local cached = state and cached_transition(request, state)
local code, first, second
if not cached then code, first, second = check_pause(read_entry(waiter), version, epoch, runner, time) end
if code and code ~= 'A' then return {refusal_reply(code, first, second)} end

local function pause()
  if cached then
    repeat_transition(cached, waiter, raw, sub(raw, 60, REGISTRATION - 1), time)
  elseif code ~= 'A' then
    change_status(waiter, read_entry(waiter), S.paused, A.owner, runner, 0, R.waiting, nil, time)
    if state then remember_transition(request, state, waiter, raw) end
  end
end

local reply = submit_call(ARGV[1], ARGV[2], are_new({id}), time)
local child = byte(reply) ~= 87 and byte(reply) ~= 67 and raw_entry(id)
if not child or contains(T.final, byte(child, 2)) then
  flush_indexes()
  return {'S' .. reply}
end

-- A new invocation without a running key waits for nothing, so it can't be part of a cycle.
local cycle = (byte(child, REGISTRATION + 8) ~= 0 or byte(reply) == 79) and wait_cycle(waiter, {'c' .. id})
local claimed = 0
if not cycle then
  add_watcher(id, child, channel)
  pause()
  add_waits(waiter, {id})
  -- The claim comes after the wait: a slot that the caller holds may close a cycle.
  if token ~= '' and may_claim(runner, time) then claimed = claim_invocation(id, runner, token, runs_below, time) end
end
local is_claimed = type(claimed) == 'string'
if is_claimed then
  -- The claimed invocation isn't queued any more, so the script doesn't add it to the index of queued ones.
  fresh = {}
else
  local e = read_entry(id)
  if is_queued(e) then push_hint(e[E.queue], id, T.raised, e[E.due], time) end
end
flush_indexes()
wake_consumers()
if cycle then return reply_with('K', cycle) end
return {'W', sub(raw_entry(waiter), 1, REGISTRATION - 1), reply, is_claimed and raw_entry(id)}
