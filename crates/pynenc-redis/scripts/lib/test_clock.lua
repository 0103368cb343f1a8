-- The server's time in milliseconds, moved ahead by what the test has set.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + (call('GET', K.clock) or 0)
end

-- How far now() is ahead of the clock by which the server expires keys.
local function clock_offset()
  return tonumber(call('GET', K.clock) or 0)
end
