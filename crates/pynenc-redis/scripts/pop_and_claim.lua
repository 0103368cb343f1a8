-- Pops hints and claims their invocations. The reply is the time, the time until the next hint is due or -1, and each
-- hint with the reply to its claim.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
allow_full_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local ids, wait = pop_hints({unpack(ARGV, first + 1)}, tonumber(ARGV[first]), time)
local replies = {time, wait}
prefetch(ids)
for _, id in ipairs(ids) do
  replies[#replies + 1] = id
  replies[#replies + 1] = run_item(claim_invocation, id, runner, token, runs_below, time)
end
flush_indexes()
return replies
