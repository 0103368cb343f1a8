-- Stores outcomes, unless there is one of the same epoch. An item is an id, and the outcome as the log stores it: a mark, the
-- epoch, the length and the outcome.
local function has_epoch(stored, wanted)
  local position = 1
  while position <= #stored do
    local _, epoch, _, next_position = parse('>BI4I4c0', stored, position)
    if epoch == wanted then return true end
    position = next_position
  end
  return false
end

for i = 1, #ARGV, 2 do
  local key, outcome = K.outcomes .. ARGV[i], ARGV[i + 1]
  local stored = call('GET', key) or ''
  if not has_epoch(stored, (parse('>I4', outcome, 2))) then call('SET', key, stored .. outcome) end
end
return true
