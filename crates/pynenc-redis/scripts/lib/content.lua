-- How long content is kept, in milliseconds. Missing content gives a negative number.
local function time_left(digest)
  return call('PTTL', K.content .. digest) - clock_offset()
end

-- Keeps content for at least so many milliseconds.
local function keep_content(digest, millis)
  if time_left(digest) < millis then call('PEXPIRE', K.content .. digest, millis + clock_offset()) end
end
