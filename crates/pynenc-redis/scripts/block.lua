-- Pauses a waiter until others have finished, unless that would be a deadlock. The first arguments are the transition,
-- without a new state if the waiter is paused already. The reply begins with the time.
local waiter, seen, state, controls, tail = unpack(ARGV, 1, 5)
local time, ids = now(), {}
for i = 6, #ARGV do ids[#ids + 1] = ARGV[i] end
prefetch(ids)

local function unfinished()
  local known, on = {}, {}
  for _, id in ipairs(ids) do
    local found = not known[id] and readable_entry(id)
    if found and not contains(T.final, status_of(found)) then on[#on + 1] = id end
    known[id] = true
  end
  return on
end

-- Adds the queued invocations, each behind the number of its waiters, from which the caller computes the raised priority.
local function add_queued(on, replies)
  for _, id in ipairs(on) do
    local found = entry(id)
    if is_entry_queued(found) then
      replies[#replies + 1] = pack('>I4', call('SCARD', K.awaited .. id)) .. id .. start_of(found)
    end
  end
  return replies
end

local raw = entry(waiter)
if not raw or not is_as_seen(kind_of(raw), seen, byte(controls)) then return {time, not_as_seen(raw)} end
local on = unfinished()
if #on == 0 then return {time, 'Y'} end
local nodes = {}
for i, id in ipairs(on) do nodes[i] = 'c' .. id end
local cycle = wait_cycle(waiter, nodes)
if cycle then return {time, 'K', unpack(cycle)} end
allow_full_memory()
if state ~= '' then make_transition(waiter, seen, state, controls, tail, time) end
add_waits(waiter, on)
flush_indexes()
return add_queued(on, {time, 'D'})
