-- How many hints of a queue are given out before that of an invocation.
local queue, id = ARGV[1], ARGV[2]
promote(queue, now())
return call('ZRANK', K.ready .. queue, id)
