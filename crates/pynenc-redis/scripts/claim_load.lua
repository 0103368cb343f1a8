-- Claims, and reads what was called of what is granted.
local runner, token, runs_below, time = ARGV[1], ARGV[2], tonumber(ARGV[3]), now()
pass_without_memory()
if not may_claim(runner, time) then return false end
local replies, granted, keys = {}, {}, {}
fetch({unpack(ARGV, 4)})
for place = 4, #ARGV do
  local reply = guarded(claim, ARGV[place], runner, token, runs_below, time)
  replies[#replies + 1], replies[#replies + 2] = reply, false
  if type(reply) == 'string' and byte(reply) == 1 then
    granted[#granted + 1], keys[#keys + 1] = #replies, K.record .. ARGV[place]
  end
end
if #keys > 0 then
  for place, record in ipairs(call('MGET', unpack(keys))) do replies[granted[place]] = record end
end
flush_indexes()
return replies
