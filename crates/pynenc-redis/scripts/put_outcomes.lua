-- Keeps outcomes, each an id, its epoch and what is kept of it.
for place = 1, #ARGV do put_outcome(ARGV[place], false) end
put_outcomes()
flush_values()
return true
