-- Submits a call, and pauses its caller until the call has finished. With a token, claims the call for the caller's
-- runner too, so it needs no hint. If another invocation stands for the call, the script only replies to the
-- registration. The reply is the time, and then the reply for the caller, the call's, and its claim's.
local item, head, rest, waiter, seen, state, controls, tail, channel, runner, token = unpack(ARGV)
local id, runs_below, time = sub(item, 1, 16), tonumber(ARGV[12]), now()

local raw = entry(waiter)
if not raw or not is_as_seen(kind_of(raw), seen, byte(controls)) then return {time, not_as_seen(raw)} end
local chunk = present_chunk()
local reply, reg, due = submit_call(item, new_start(head, time, chunk), rest, time)
local child = (reg or byte(reply) == 79) and entry(id)
if reg then list_new(chunk, {id}, time) end
if not child or contains(T.final, status_of(child)) then
  flush_indexes()
  return {time, 'A', reply}
end

-- A new invocation without a running key waits for nothing, so it can't be part of a cycle.
local cycle = (not reg or reg.when_blocked ~= 0) and wait_cycle(waiter, {'c' .. id})
local claimed = GONE
if not cycle then
  add_watcher(id, child, channel)
  if state ~= '' then make_transition(waiter, seen, state, controls, tail, time) end
  add_waits(waiter, {id})
  -- The claim comes after the wait: a slot that the caller holds may close a cycle.
  if token ~= '' and may_claim(runner, time) then claimed = claim_invocation(id, runner, token, runs_below, time) end
end
if claimed == GONE and is_entry_queued(entry(id)) then
  reg = registration_of(child)
  push_hint(reg.queue, id, T.raised, due_of(entry(id)), time)
end
flush_indexes()
wake_consumers()
if cycle then return {time, 'K', unpack(cycle)} end
return {time, 'D', reply, type(claimed) == 'string' and 1 or 0}
