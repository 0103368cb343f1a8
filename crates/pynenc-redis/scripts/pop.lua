-- Pops hints from queues, in their order. The reply begins with the time until the next hint is due, or -1.
local ids, wait = pop_hints({unpack(ARGV, 2)}, tonumber(ARGV[1]), now())
return reply_with(wait, ids)
