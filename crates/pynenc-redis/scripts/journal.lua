-- Looks into a journal.
local id = ARGV[1]
return call('EXISTS', K.fence .. id) == 1 and shown(id)
