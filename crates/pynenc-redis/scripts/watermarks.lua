-- The present, and the watermark of each schedule; a new one starts at the present.
local time = now()
local replies = {time}
for _, schedule in ipairs(ARGV) do
  local mark = call('HGET', K.watermarks, schedule)
  if not mark then
    mark = time
    call('HSET', K.watermarks, schedule, string.format('%.0f', time))
  end
  replies[#replies + 1] = tonumber(mark)
end
return replies
