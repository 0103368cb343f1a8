-- Raises the fence of a journal, and reads the journal. Gives the fence alone if it is higher than the caller's epoch.
local id, epoch, attempt, workflow, takes_over = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local header = K.fence .. id
local fence = tonumber(call('HGET', header, 'f') or -1)
if epoch < fence then return fence end
allow_full_memory()

local function begin()
  if takes_over ~= '' and call('EXISTS', K.fence .. takes_over) == 1 then
    call('COPY', K.fence .. takes_over, header)
    call('COPY', K.journal .. takes_over, K.journal .. id)
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
return read_journal(id)
