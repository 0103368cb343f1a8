-- Registers invocations whose records and hints are elsewhere. The replies come behind the time.
local time, ids = now(), {}
local replies = {time}
local start, chunk = entry_start(time)

local function register(i)
  local raw = start .. ARGV[i + 1]
  local reply, reg = submit_call(ARGV[i], raw, time)
  if reg then
    local id = sub(ARGV[i], 1, 16)
    ids[#ids + 1] = id
    index_waiting(id, raw, true)
  end
  return reply
end

for i = 1, #ARGV, 2 do replies[#replies + 1] = run_item(register, i) end
if #ids > 0 then list_new(chunk, ids, time) end
flush_indexes()
return replies
