local millis, digest = tonumber(ARGV[1]), ARGV[2]
if time_left(digest) <= 0 then return false end
allow_full_memory()
keep_content(digest, millis)
return call('GET', K.content .. digest)
