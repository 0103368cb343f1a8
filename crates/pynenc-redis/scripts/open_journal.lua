-- Raises the fence and reads; a higher fence is the answer to who comes late.
local id, epoch, attempt, workflow, other = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local header = K.fence .. id
local fence = tonumber(call('HGET', header, 'f') or -1)
if epoch < fence then return fence end
pass_without_memory()

local function begin()
  if other ~= '' and call('EXISTS', K.fence .. other) == 1 then
    call('COPY', K.fence .. other, header)
    call('COPY', K.journal .. other, K.journal .. id)
    call('HDEL', header, 'a', 'r')
  end
  call('HSETNX', header, 'o', id)
end

if fence < 0 then begin() end
if epoch > fence or fence < 0 then call('HSET', header, 'f', epoch) end
if tonumber(call('HGET', header, 'a') or 0) < attempt then
  call('HSET', header, 'a', attempt)
  call('HINCRBY', header, 't', 1)
end
local is_run = workflow == '' or workflow == call('HGET', header, 'o')
if is_run and call('HSETNX', header, 'r', 1) == 1 then call('ZADD', K.workflow_runs, now(), id) end
return shown(id)
