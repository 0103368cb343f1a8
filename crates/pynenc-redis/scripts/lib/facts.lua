-- Keeps what was called; a value says first whether a parent's id follows. Tells whether it is new.
local function put_record(id, value)
  if not call('SET', K.record .. id, value, 'NX') then return false end
  if byte(value) == 1 then call('ZADD', K.children .. sub(value, 2, 17), 0, id) end
  return true
end
