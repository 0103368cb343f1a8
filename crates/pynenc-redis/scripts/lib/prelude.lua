-- A script declares one key: the app's prefix, with which every other key begins. K.name stands for one of them.
local P = KEYS[1]
local call, pack, parse = redis.call, struct.pack, struct.unpack
local sub, byte = string.sub, string.byte

-- A table that a function keeps for its next runs.
local function cache()
  return {}
end

-- Runs one item of a batch. A failure becomes the item's reply, and the other items run.
local function run_item(run, ...)
  local ok, reply = pcall(run, ...)
  if ok then return reply end
  return 'X' .. tostring(type(reply) == 'table' and reply.err or reply)
end

-- The due time of an item: 'due' is a delay if its kind is 1, and a time otherwise.
local function due_at(kind, due, time)
  if kind == 1 then return math.min(time + due, T.latest) end
  return due
end

-- A reply of one value, followed by the values of a list.
local function reply_with(first, rest)
  local reply = {first}
  for _, value in ipairs(rest or {}) do reply[#reply + 1] = value end
  return reply
end

-- A whole number as text. The server would write the number as a float, which takes longer.
local function int(number)
  if number == 1 then return '1' end
  return string.format('%d', number)
end

-- Members whose last offer, their score, is 'again_after' ago. A score in the future is from before the clock went
-- back.
local function due_offers(key, time, again_after, limit)
  local due = call('ZRANGEBYSCORE', key, '-inf', int(time - again_after), 'LIMIT', 0, limit)
  if #due >= tonumber(limit) then return due end
  local future = call('ZRANGEBYSCORE', key, '(' .. int(time), '+inf', 'LIMIT', 0, int(limit - #due))
  for _, member in ipairs(future) do due[#due + 1] = member end
  return due
end

-- Calls a command with chunks of its members, and gives the last reply.
local function call_in_chunks(command, key, members)
  local reply
  for first = 1, #members, 1000 do
    reply = call(command, key, unpack(members, first, math.min(first + 999, #members)))
  end
  return reply
end
