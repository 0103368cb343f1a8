-- Claims invocations. The replies come behind the time.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
allow_full_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local replies = {time}
prefetch({unpack(ARGV, first)})
for i = first, #ARGV do replies[#replies + 1] = run_item(claim_invocation, ARGV[i], runner, token, runs_below, time) end
flush_indexes()
return replies
