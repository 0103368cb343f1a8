-- The stored outcomes of an invocation, one after another: the epoch, the length, and the outcome.

local function has_epoch(stored, wanted)
  local position = 1
  while position <= #stored do
    local epoch, _, next_position = parse('>I6I4c0', stored, position)
    if epoch == wanted then return true end
    position = next_position
  end
  return false
end

-- Adds an outcome, unless there is one of the same epoch. Where no invocation of the script is known to have outcomes,
-- the stored ones aren't read.
local function put_outcome(item, is_new)
  local id, outcome = sub(item, 1, 16), sub(item, 17)
  local stored = outcomes[id] or (not is_new and call('GET', K.outcomes .. id))
  if stored and has_epoch(stored, (parse('>I6', outcome))) then return end
  outcomes[id] = stored and stored .. outcome or outcome
end

local function flush_outcomes()
  for id, value in pairs(outcomes) do put_value(K.outcomes .. id, value) end
end
