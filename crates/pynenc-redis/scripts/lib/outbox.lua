-- Drops an entry of the outbox, wherever it waits.
local function drop_entry(sequence)
  local kept = call('HGET', K.outbox, sequence)
  if not kept then return end
  local listener, id = parse('>I2c0c16', kept)
  call('HDEL', K.outbox, sequence)
  call('ZREM', K.fresh .. listener, sequence)
  call('ZREM', K.offered .. listener, sequence)
  call('SREM', K.noted .. id, sequence)
end
