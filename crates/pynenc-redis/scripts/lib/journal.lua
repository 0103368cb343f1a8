-- A journal: its header, and its entries, each behind the time of its append. The header has the fence, the origin, the
-- last attempt, how many there were, and the place of each position.
local function shown(id)
  local header = call('HMGET', K.fence .. id, 'o', 't')
  return reply_with(now(), reply_with(header[1] or id, reply_with(tonumber(header[2] or 0), call('LRANGE', K.journal .. id, 0, -1))))
end
