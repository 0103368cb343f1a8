-- Counts the ready and the delayed hints of a queue, and finds the position of a ready hint.
local queue, id, time = ARGV[1], ARGV[2], now()
if id then promote_due(queue, time) end
local due = call('ZCOUNT', K.delayed .. queue, '-inf', '(' .. delayed_score(time + 1, HIGHEST))
local position = id and call('ZRANK', K.ready .. queue, id) or false
return {call('ZCARD', K.ready .. queue) + due, call('ZCARD', K.delayed .. queue) - due, position}
