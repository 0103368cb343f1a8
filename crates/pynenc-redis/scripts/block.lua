-- Pauses a waiter until others have ended, unless that would close a circle.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[1])
local time, ids = now(), {unpack(ARGV, 2)}
fetch(ids)

local function living()
  local seen, on = {}, {}
  for _, id in ipairs(ids) do
    local e = not seen[id] and read(id)
    if e and not is(T.final, e[E.status]) then on[#on + 1] = id end
    seen[id] = true
  end
  return on
end

local function raised(on)
  local raised = {}
  for _, id in ipairs(on) do
    local e = read(id)
    if is_queued(e) then raised[#raised + 1] = pack('>I4', call('SCARD', K.awaited .. id)) .. id .. e[E.raw] end
  end
  return raised
end

local e = read(waiter)
if not e then return {refused('M', 0, 0)} end
local code, one, other = pausable(e, version, epoch, runner, time)
if code and code ~= 'A' then return {refused(code, one, other)} end
local on = living()
if #on == 0 then return {'Y'} end
local nodes = {}
for place, id in ipairs(on) do nodes[place] = 'c' .. id end
local way = circle(waiter, nodes)
if way then return reply_with('K', way) end
pass_without_memory()
if code ~= 'A' then enter(waiter, e, S.paused, A.owner, runner, 0, R.waiting, nil, time) end
for first = 1, #on, 1000 do wait_for(waiter, {unpack(on, first, math.min(first + 999, #on))}) end
flush_indexes()
return reply_with('W' .. written(e), raised(on))
