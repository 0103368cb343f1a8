local millis, digest = tonumber(ARGV[1]), ARGV[2]
if left(digest) <= 0 then return false end
pass_without_memory()
keep(digest, millis)
return call('GET', K.content .. digest)
