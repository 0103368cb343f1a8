local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How far that is ahead of the time by which the server lets keys expire.
local function ahead()
  return 0
end
