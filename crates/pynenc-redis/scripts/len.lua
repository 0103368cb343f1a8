local queue, time = ARGV[1], now()
local due = call('ZCOUNT', K.delayed .. queue, '-inf', '(' .. delayed_score(time + 1, HIGHEST))
return {call('ZCARD', K.ready .. queue) + due, call('ZCARD', K.delayed .. queue) - due}
