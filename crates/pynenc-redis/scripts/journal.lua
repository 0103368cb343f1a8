-- Reads a journal. Gives false if nobody has opened it.
local id = ARGV[1]
return call('EXISTS', K.fence .. id) == 1 and read_journal(id)
