pass_without_memory()
for place = 2, #ARGV do call('ZREM', K.taken .. ARGV[1], ARGV[place]) end
return true
