-- Takes hints from queues in their order. Without any it gives how long it is to the next due time, or -1.
local ids, wait = pop({unpack(ARGV, 2)}, tonumber(ARGV[1]), now())
return reply_with(wait, ids)
