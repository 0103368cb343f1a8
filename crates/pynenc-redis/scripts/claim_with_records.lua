-- Claims invocations, and reads the records of the granted ones.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
allow_full_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local replies = claim_with_records({unpack(ARGV, first)}, runner, token, runs_below, time)
flush_indexes()
return replies
