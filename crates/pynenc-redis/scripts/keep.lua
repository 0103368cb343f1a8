-- Keeps for longer what has ended and is still kept.
local till = now() + ARGV[1]
pass_without_memory()
for place = 2, #ARGV do call('ZADD', K.retained, 'XX', 'GT', till, ARGV[place]) end
return true
