-- Keeps, registers and hints what nothing stands for; gives the registration, its answer, and whether it is new.
local function submit(it, record, is_new, time)
  local reply = standing(it, is_new)
  if reply and byte(reply) ~= 79 then return reply, false end
  put_record(it.id, record, is_new)
  if reply then return reply, false end
  return accept(it, time), true
end

-- Whether none of the invocations is known in any way.
local function are_new(ids)
  local keys = {}
  for _, id in ipairs(ids) do keys[#keys + 1], keys[#keys + 2] = K.entry .. id, K.record .. id end
  return are_free(keys)
end
