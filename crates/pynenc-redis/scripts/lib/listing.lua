-- The number of members before a position of an index that is ordered by time and then by id. Counts the member at the
-- position too if 'is_inclusive'.
local function count_before(index, at, id, is_inclusive)
  local low = call('ZCOUNT', index, '-inf', '(' .. at)
  local high = low + call('ZCOUNT', index, at, at)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call('ZRANGE', index, middle, middle)[1]
    if member < id or (is_inclusive and member == id) then low = middle + 1 else high = middle end
  end
  return low
end
