-- A write that is allowed without free memory: behind it, so are all others of the same script.
local function pass_without_memory()
  call('DEL', K.nothing)
end
