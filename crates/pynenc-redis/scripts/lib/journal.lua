-- The reply with a journal: the time, the origin, the number of attempts, and the entries. The header is a hash with
-- the fence 'f', the origin 'o', the last attempt 'a', the number of attempts 't', and the index of each position's
-- entry. An entry begins with the time of its append.
local function read_journal(id)
  local header = call('HMGET', K.fence .. id, 'o', 't')
  local reply = {now(), header[1] or id, tonumber(header[2] or 0)}
  for _, entry in ipairs(call('LRANGE', K.journal .. id, 0, -1)) do reply[#reply + 1] = entry end
  return reply
end
