-- Lists an index behind a position: workflow runs, records by age, or the children of an invocation. Gives one position
-- more than requested if there are more.
local after, id_after, limit = parse('>I6c16I4', ARGV[1])
local kind, parent = ARGV[2], ARGV[3]
local index, latest = K.workflow_runs, math.huge
if kind == 'children' then index = K.children .. parent end
if kind == 'put_before' then index, latest = K.record_ages, now() - parse('>I6', ARGV[1], 27) end

local first = count_before(index, after, id_after, true)
local members = call('ZRANGE', index, first, first + limit, 'WITHSCORES')
local replies = {}
for i = 1, #members, 2 do
  if tonumber(members[i + 1]) <= latest then replies[#replies + 1] = pack('>I6', members[i + 1]) .. members[i] end
end
return replies
