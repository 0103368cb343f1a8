-- The runs behind a place, with the times at which they were first opened, and whether there is more.
local after, id_after, limit = parse('>I6c16I4', ARGV[1])
local replies, skipped = {}, 0
if after > 0 then
  skipped = call('ZCOUNT', K.workflow_runs, '-inf', '(' .. after)
  for _, id in ipairs(call('ZRANGEBYSCORE', K.workflow_runs, after, after)) do
    if id <= id_after then skipped = skipped + 1 end
  end
end
local members = call('ZRANGE', K.workflow_runs, skipped, skipped + limit, 'WITHSCORES')
for place = 1, #members, 2 do replies[#replies + 1] = pack('>I6', members[place + 1]) .. members[place] end
return replies
