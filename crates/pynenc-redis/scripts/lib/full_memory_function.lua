-- Does nothing: a function's flags let it write while the server has no free memory.
local function allow_full_memory() end
