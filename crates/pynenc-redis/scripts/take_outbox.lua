-- Acknowledges entries, then offers others: first those whose last offer is too long ago, then new ones.
local limit, again_after, time = tonumber(ARGV[1]), tonumber(ARGV[2]), now()
local listeners = 4 + tonumber(ARGV[3])
local found = {}
allow_full_memory()
for i = 4, listeners - 1 do drop_outbox_entry(ARGV[i]) end
if limit == 0 then return {} end

local function offer(listener, sequence)
  call('ZREM', K.fresh .. listener, sequence)
  call('ZADD', K.offered .. listener, time, sequence)
  found[#found + 1] = tonumber(sequence)
end

for i = listeners, #ARGV do
  local listener = ARGV[i]
  local again = due_offers(K.offered .. listener, time, again_after, limit)
  local new = #again < limit and call('ZRANGE', K.fresh .. listener, 0, limit - #again - 1) or {}
  for _, sequence in ipairs(again) do offer(listener, sequence) end
  for _, sequence in ipairs(new) do offer(listener, sequence) end
end
table.sort(found)
local replies = {}
for _, sequence in ipairs(found) do
  replies[#replies + 1] = sequence
  replies[#replies + 1] = call('HGET', K.outbox, string.format('%.0f', sequence))
end
return replies
