-- Pauses a waiter until others have finished, unless that would be a deadlock.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[1])
local time, ids = now(), {unpack(ARGV, 2)}
prefetch(ids)

local function unfinished()
  local seen, on = {}, {}
  for _, id in ipairs(ids) do
    local e = not seen[id] and read_entry(id)
    if e and not contains(T.final, e[E.status]) then on[#on + 1] = id end
    seen[id] = true
  end
  return on
end

-- The queued invocations, each behind the number of its waiters, from which the caller computes the raised priority.
local function with_waiters(on)
  local queued = {}
  for _, id in ipairs(on) do
    local e = read_entry(id)
    if is_queued(e) then queued[#queued + 1] = pack('>I4', call('SCARD', K.awaited .. id)) .. id .. e[E.raw] end
  end
  return queued
end

local e = read_entry(waiter)
if not e then return {refusal_reply('M', 0, 0)} end
local code, first, second = check_pause(e, version, epoch, runner, time)
if code and code ~= 'A' then return {refusal_reply(code, first, second)} end
local on = unfinished()
if #on == 0 then return {'Y'} end
local nodes = {}
for i, id in ipairs(on) do nodes[i] = 'c' .. id end
local cycle = wait_cycle(waiter, nodes)
if cycle then return reply_with('K', cycle) end
allow_full_memory()
if code ~= 'A' then change_status(waiter, e, S.paused, A.owner, runner, 0, R.waiting, nil, time) end
for start = 1, #on, 1000 do add_waits(waiter, {unpack(on, start, math.min(start + 999, #on))}) end
flush_indexes()
return reply_with('W' .. header_of(e), with_waiters(on))
