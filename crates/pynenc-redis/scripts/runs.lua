-- Each is its time, what became of its call with a mark before it, and itself.
local replies = {}
for _, open in ipairs(call('ZREVRANGE', K.fired .. ARGV[1], 0, ARGV[2] - 1)) do
  local id = sub(open, 7)
  local kept = call('HGET', K.runs, id)
  if kept then
    local time, _, _, rest = parse('>I6I2c0I2c0', kept)
    local delivery = call('HGET', K.deliveries, id)
    replies[#replies + 1] = time
    replies[#replies + 1] = delivery and ('D' .. delivery) or ''
    replies[#replies + 1] = sub(kept, rest)
  end
end
return replies
