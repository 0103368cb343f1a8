-- Registers invocations whose records and hints are elsewhere. The replies come behind the time.
local time, chunk, ids = now(), present_chunk(), {}
local replies = {time}

local function register(head, item, rest)
  local reply, reg = submit_call(item, new_start(head, time, chunk), rest, time)
  if reg then
    local id = sub(item, 1, 16)
    ids[#ids + 1] = id
    index_waiting(id, time, true)
  end
  return reply
end

for_each_call(ARGV, function(...) replies[#replies + 1] = run_item(register, ...) end)
if #ids > 0 then list_new(chunk, ids, time) end
flush_indexes()
return replies
