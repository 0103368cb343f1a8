local records = {}

-- Stores an invocation's record, unless there is one; gives whether it was stored. A record begins with a byte that
-- tells whether the parent's id follows. Where all ids are known to be new, records are written together with the
-- entries.
local function put_record(id, value, is_new)
  if is_new then
    if records[id] then return false end
    records[id] = true
    put_value(K.record .. id, value)
  elseif not call('SET', K.record .. id, value, 'NX') then
    return false
  end
  if byte(value) == 1 then call('ZADD', K.children .. sub(value, 2, 17), '0', id) end
  return true
end
