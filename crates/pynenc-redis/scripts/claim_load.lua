-- Claims, and reads what was called of what is granted.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local replies = {}
for place = 4, #ARGV do
  local reply = guarded(claim, ARGV[place], runner, token, runs_below, time)
  replies[#replies + 1] = reply
  local is_granted = type(reply) == 'string' and byte(reply) == 1
  replies[#replies + 1] = is_granted and call('GET', K.record .. ARGV[place])
end
flush_indexes()
return replies
