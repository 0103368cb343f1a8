-- Pops hints, claims their invocations, and reads the records of the granted ones. The reply begins with the time until
-- the next hint is due, or -1.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
allow_full_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local ids, wait = pop_hints({unpack(ARGV, first + 1)}, tonumber(ARGV[first]), time)
local replies = claim_with_records(ids, runner, token, runs_below, time)
flush_indexes()
return {wait, ids, replies}
