local runner, token, time = ARGV[1], ARGV[2], now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local replies = {}
for place = 3, #ARGV do replies[#replies + 1] = guarded(claim, ARGV[place], runner, token, time) end
flush_indexes()
return replies
