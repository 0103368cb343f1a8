-- A function says in its flags that it writes without free memory too.
local function pass_without_memory() end
