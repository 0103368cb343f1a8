local replies = {}
for _, open in ipairs(due_for_another_offer(K.open, now(), ARGV[1], ARGV[2])) do
  local kept = call('HGET', K.runs, sub(open, 7))
  if kept then
    local _, _, _, rest = parse('>I6I2c0I2c0', kept)
    replies[#replies + 1] = sub(kept, rest)
  end
end
return replies
