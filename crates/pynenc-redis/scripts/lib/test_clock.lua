local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + (call('GET', K.clock) or 0)
end
