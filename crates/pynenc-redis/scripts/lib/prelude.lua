-- Every key starts with the one that is declared, which carries the app's hash tag: K.name stands for one of them.
local P = KEYS[1]
local call, pack, parse = redis.call, struct.pack, struct.unpack
local sub, byte = string.sub, string.byte

-- Runs an item. One that fails tells why, and keeps no other from its turn.
local function guarded(run, ...)
  local ok, reply = pcall(run, ...)
  if ok then return reply end
  return 'X' .. tostring(type(reply) == 'table' and reply.err or reply)
end

local function due_at(kind, due, time)
  if kind == 1 then return time + due end
  return due
end

-- A reply of one value, and the rest behind it.
local function reply_with(first, rest)
  local reply = {first}
  for _, value in ipairs(rest or {}) do reply[#reply + 1] = value end
  return reply
end

-- A whole number as a command takes it: the server would write it as a float, which takes longer.
local function int(number)
  return string.format('%d', number)
end

-- Members that were offered long enough ago, by their scores; a score ahead of the present is of a clock that went back.
local function due_for_another_offer(key, time, again_after, limit)
  local due = call('ZRANGEBYSCORE', key, '-inf', int(time - again_after), 'LIMIT', 0, limit)
  if #due >= tonumber(limit) then return due end
  local ahead = call('ZRANGEBYSCORE', key, '(' .. int(time), '+inf', 'LIMIT', 0, int(limit - #due))
  for _, member in ipairs(ahead) do due[#due + 1] = member end
  return due
end

-- Calls a command with what may be too much for one, and gives its last reply.
local function call_with_many(command, key, members)
  local reply
  for first = 1, #members, 1000 do
    reply = call(command, key, unpack(members, first, math.min(first + 999, #members)))
  end
  return reply
end
