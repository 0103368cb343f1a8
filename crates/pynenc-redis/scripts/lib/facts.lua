local records = {}

-- Keeps what was called; a value says first whether a parent's id follows. Tells whether it is new. Where all ids are
-- known to be new, records are written with the entries.
local function put_record(id, value, is_new)
  if is_new then
    if records[id] then return false end
    records[id] = true
    put(K.record .. id, value)
  elseif not call('SET', K.record .. id, value, 'NX') then
    return false
  end
  if byte(value) == 1 then call('ZADD', K.children .. sub(value, 2, 17), '0', id) end
  return true
end
