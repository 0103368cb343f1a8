-- How long content is kept yet; less than that of nothing.
local function left(digest)
  return call('PTTL', K.content .. digest) - ahead()
end

-- Keeps content for so many milliseconds, if not longer.
local function keep(digest, millis)
  if left(digest) < millis then call('PEXPIRE', K.content .. digest, millis + ahead()) end
end
