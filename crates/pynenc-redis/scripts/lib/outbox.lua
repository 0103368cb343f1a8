local interests = {}

-- The listeners that want to be notified of a kind of completion: a final status and a task.
local function interest_in(status, task)
  local kind = string.char(status) .. task
  local listeners = interests[kind]
  if listeners == nil then
    listeners = call('HGET', K.interests, kind)
    interests[kind] = listeners
  end
  return listeners
end

-- Adds an entry for each listener whose interest is current.
local function add_to_outbox(id, raw, task, time)
  local listeners = interest_in(status_of(raw), task)
  if not listeners then return end
  local position, is_added = 1, false
  while position <= #listeners do
    local expires, listener
    expires, listener, position = parse('>I6I2c0', listeners, position)
    if expires > time then
      local sequence = call('INCR', K.outbox_last)
      call('HSET', K.outbox, sequence, pack('>I2c0', #listener, listener) .. id .. start_of(raw))
      call('ZADD', K.fresh .. listener, int(sequence), int(sequence))
      call('SADD', K.outbox_entries .. id, int(sequence))
      is_added = true
    end
  end
  if is_added then call('PUBLISH', K.notifications, 'O') end
end

local function drop_outbox_entry(sequence)
  local stored = call('HGET', K.outbox, sequence)
  if not stored then return end
  local listener, id = parse('>I2c0c16', stored)
  call('HDEL', K.outbox, sequence)
  call('ZREM', K.fresh .. listener, sequence)
  call('ZREM', K.offered .. listener, sequence)
  call('SREM', K.outbox_entries .. id, sequence)
end
