-- Stores records, registers invocations and pushes their hints, all in one value each. If another invocation stands for
-- a call, the call leaves nothing. The reply is the time if all calls are new and due at once; else the replies follow.
local time, chunk, ids = now(), present_chunk(), {}
local replies = time

local function submit(head, item, rest)
  local reply, reg, due = submit_call(item, new_start(head, time, chunk), rest, time)
  if reg then
    local id = sub(item, 1, 16)
    ids[#ids + 1] = id
    push_new_hint(reg.queue, id, reg.priority, due, time)
  end
  return reply
end

if not submit_plain(ARGV, ids, time, chunk) then
  ids, replies = {}, {time}
  for_each_call(ARGV, function(...) replies[#replies + 1] = run_item(submit, ...) end)
end
if #ids > 0 then list_new(chunk, ids, time) end
flush_indexes()
wake_consumers()
return replies
