-- An invocation's outcomes, one behind the other: the epoch, and what is kept of it with its length.

local function has_epoch(kept, wanted)
  local place = 1
  while place <= #kept do
    local epoch, _, behind = parse('>I6I4c0', kept, place)
    if epoch == wanted then return true end
    place = behind
  end
  return false
end

-- Keeps an outcome, unless there is one of its epoch. Where none of the invocations is known to have any, the store
-- isn't asked for each.
local function put_outcome(item, is_new)
  local id, entry = sub(item, 1, 16), sub(item, 17)
  local kept = outcomes[id] or (not is_new and call('GET', K.outcomes .. id))
  if kept and has_epoch(kept, (parse('>I6', entry))) then return end
  outcomes[id] = kept and kept .. entry or entry
end

local function put_outcomes()
  for id, value in pairs(outcomes) do put(K.outcomes .. id, value) end
end
