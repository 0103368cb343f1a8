local time, replies, keys = now(), {}, {}
for i = 1, #ARGV do keys[i] = K.entry .. sub(ARGV[i], 1, 16) end
local is_new = none_exist(keys)
for i = 1, #ARGV do
  replies[i] = run_item(function()
    local item = parse_registration(ARGV[i])
    return existing_reply(item, is_new) or register_new(item, time)
  end)
end
flush_indexes()
return replies
