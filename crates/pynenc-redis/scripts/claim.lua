local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local first = read_left_out(ARGV, 4)
local replies = {}
fetch({unpack(ARGV, first)})
for place = first, #ARGV do replies[#replies + 1] = guarded(claim, ARGV[place], runner, token, runs_below, time) end
flush_indexes()
return replies
