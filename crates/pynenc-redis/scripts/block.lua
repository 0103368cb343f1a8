-- Pauses a waiter until others have finished, unless that would be a deadlock. The first argument is the transition; it
-- leaves the state as it is if the waiter is paused already. The reply begins with the time.
local time, ids = now(), {unpack(ARGV, 2)}
local waiter, is_paused = sub(ARGV[1], 1, 16), #ARGV[1] == 41
prefetch(ids)

local function unfinished()
  local seen, on = {}, {}
  for _, id in ipairs(ids) do
    local raw = not seen[id] and entry(id)
    if raw and not contains(T.final, status_of(raw)) then on[#on + 1] = id end
    seen[id] = true
  end
  return on
end

-- The queued invocations, each behind the number of its waiters, from which the caller computes the raised priority.
local function with_waiters(on)
  local queued = {}
  for _, id in ipairs(on) do
    local raw = entry(id)
    if is_entry_queued(raw) then
      queued[#queued + 1] = pack('>I4', call('SCARD', K.awaited .. id)) .. id .. head_of(raw)
    end
  end
  return queued
end

local refusal = why_not_as_seen(ARGV[1])
if refusal then return {time, refusal} end
local on = unfinished()
if #on == 0 then return {time, 'Y'} end
local nodes = {}
for i, id in ipairs(on) do nodes[i] = 'c' .. id end
local cycle = wait_cycle(waiter, nodes)
if cycle then return {time, 'K', unpack(cycle)} end
allow_full_memory()
if not is_paused then make_transition(ARGV[1], '', time) end
add_waits(waiter, on)
flush_indexes()
return {time, 'D', unpack(with_waiters(on))}
