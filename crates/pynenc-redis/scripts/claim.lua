local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local replies = {}
fetch({unpack(ARGV, 4)})
for place = 4, #ARGV do replies[#replies + 1] = guarded(claim, ARGV[place], runner, token, runs_below, time) end
flush_indexes()
return replies
