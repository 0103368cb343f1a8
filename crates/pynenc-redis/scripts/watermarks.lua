-- Gives the time, and the watermark of each schedule. The watermark of a new schedule is the present.
local time = now()
local replies = {time}
for _, schedule in ipairs(ARGV) do
  local watermark = call('HGET', K.watermarks, schedule)
  if not watermark then
    watermark = time
    call('HSET', K.watermarks, schedule, string.format('%.0f', time))
  end
  replies[#replies + 1] = tonumber(watermark)
end
return replies
