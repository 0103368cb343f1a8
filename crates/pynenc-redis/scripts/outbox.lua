local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local found = {}
pass_without_memory()

local function offer(listener, sequence)
  call('ZREM', K.fresh .. listener, sequence)
  call('ZADD', K.offered .. listener, time, sequence)
  found[#found + 1] = tonumber(sequence)
end

for place = 3, #ARGV do
  local listener = ARGV[place]
  local late = due_for_another_offer(K.offered .. listener, time, again_after, limit)
  local fresh = #late < limit and call('ZRANGE', K.fresh .. listener, 0, limit - #late - 1) or {}
  for _, sequence in ipairs(late) do offer(listener, sequence) end
  for _, sequence in ipairs(fresh) do offer(listener, sequence) end
end
table.sort(found)
local replies = {}
for _, sequence in ipairs(found) do
  replies[#replies + 1] = sequence
  replies[#replies + 1] = call('HGET', K.outbox, string.format('%.0f', sequence))
end
return replies
