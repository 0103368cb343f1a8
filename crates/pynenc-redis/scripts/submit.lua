-- Stores records, registers invocations and pushes their hints, all in one value each. If another invocation stands for
-- a call, the call leaves nothing. The reply is the time if all calls are new and due at once; else the replies follow.
local time, ids = now(), {}
local start, chunk = entry_start(time)
local replies = time

local function submit(i)
  local id = sub(ARGV[i], 1, 16)
  local reply, reg, due = submit_call(ARGV[i], start .. ARGV[i + 1], time)
  if reg then
    ids[#ids + 1] = id
    push_new_hint(reg.queue, id, reg.priority, due, time)
  end
  return reply
end

if not submit_plain(start, ARGV, ids) then
  ids, replies = {}, {time}
  for i = 1, #ARGV, 2 do replies[#replies + 1] = run_item(submit, i) end
end
if #ids > 0 then list_new(chunk, ids, time) end
flush_indexes()
wake_consumers()
return replies
