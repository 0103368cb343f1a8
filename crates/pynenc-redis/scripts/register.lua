local time, replies, keys = now(), {}, {}
for place = 1, #ARGV do keys[place] = K.entry .. sub(ARGV[place], 1, 16) end
local is_new = are_free(keys)
for place = 1, #ARGV do
  replies[place] = guarded(function()
    local it = registration(ARGV[place])
    return standing(it, is_new) or accept(it, time)
  end)
end
flush_indexes()
return replies
