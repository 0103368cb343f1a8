local records = {}

-- Keeps what was called; a value says first whether a parent's id follows. Tells whether it is new. Where all ids are
-- known to be new, records are written together by `flush_records`.
local function put_record(id, value, is_new)
  if is_new then
    if records[id] then return false end
    records[id] = value
  elseif not call('SET', K.record .. id, value, 'NX') then
    return false
  end
  if byte(value) == 1 then call('ZADD', K.children .. sub(value, 2, 17), '0', id) end
  return true
end

local function flush_records()
  local values = {}
  for id, value in pairs(records) do
    values[#values + 1], values[#values + 2] = K.record .. id, value
  end
  if #values > 0 then call('MSET', unpack(values)) end
end
