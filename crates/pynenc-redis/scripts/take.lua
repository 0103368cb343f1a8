-- Takes hints from queues in their order, claims what they are for, and reads what was called of what is granted.
-- Without any it gives how long it is to the next due time, or -1.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local ids, wait = pop({unpack(ARGV, first + 1)}, tonumber(ARGV[first]), time)
local replies = claimed_with_records(ids, runner, token, runs_below, time)
flush_indexes()
return {wait, ids, replies}
