-- Pauses a waiter until others have ended, unless that would close a circle.
local waiter, version, epoch, runner = parse('>c16I4I4c16', ARGV[1])
local time = now()

local function living()
  local seen, on = {}, {}
  for place = 2, #ARGV do
    local id = ARGV[place]
    local e = not seen[id] and read(id)
    if e and not is(T.final, e[E.status]) then on[#on + 1] = {id, e} end
    seen[id] = true
  end
  return on
end

local function wait_for(on)
  for _, awaited in ipairs(on) do
    call('SADD', K.awaits .. waiter, awaited[1])
    call('SADD', K.awaited .. awaited[1], waiter)
  end
end

local function raised(on)
  local raised = {}
  for _, awaited in ipairs(on) do
    local id, e = awaited[1], awaited[2]
    if is_queued(e) then
      raised[#raised + 1] = pack('>I4', call('SCARD', K.awaited .. id)) .. id .. e[E.raw]
    end
  end
  return raised
end

local e = read(waiter)
if not e then return {refused('M', 0, 0)} end
local is_current = e[E.version] == version and e[E.epoch] == epoch and e[E.owner] == runner
local code, one, other = 'A'
if e[E.status] ~= S.paused or not is_current then
  code, one, other = judged(e, version, epoch, S.paused, A.owner, runner, R.waiting, false, time)
  if code and code ~= 'A' then return {refused(code, one, other)} end
end
local on = living()
if #on == 0 then return {'Y'} end
local nodes = {}
for place, awaited in ipairs(on) do nodes[place] = 'c' .. awaited[1] end
local way = circle(waiter, nodes)
if way then return reply_with('K', way) end
pass_without_memory()
if code ~= 'A' then enter(waiter, e, S.paused, A.owner, runner, 0, R.waiting, nil, time) end
wait_for(on)
flush_indexes()
return reply_with('W' .. written(e), raised(on))
