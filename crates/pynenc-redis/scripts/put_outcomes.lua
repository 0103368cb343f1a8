-- Stores outcomes. An item is an id, an epoch and the outcome.
for i = 1, #ARGV do put_outcome(ARGV[i], false) end
flush_outcomes()
flush_values()
return true
