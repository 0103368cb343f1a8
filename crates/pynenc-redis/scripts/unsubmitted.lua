local replies = {}
for _, open in ipairs(call('ZRANGEBYSCORE', K.open, '-inf', now() - ARGV[1], 'LIMIT', 0, ARGV[2])) do
  local kept = call('HGET', K.runs, sub(open, 7))
  if kept then replies[#replies + 1] = sub(kept, 3 + #open) end
end
return replies
