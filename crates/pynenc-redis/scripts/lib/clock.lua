-- The server's time in milliseconds.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How far now() is ahead of the clock by which the server expires keys.
local function clock_offset()
  return 0
end
