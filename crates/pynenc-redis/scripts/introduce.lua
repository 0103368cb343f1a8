-- Keeps what a runner says of itself. One that isn't known would never be forgotten.
local runner, introduction = ARGV[1], ARGV[2]
pass_without_memory()
if call('HEXISTS', K.runners, runner) == 1 then call('HSET', K.introductions, runner, introduction) end
return true
