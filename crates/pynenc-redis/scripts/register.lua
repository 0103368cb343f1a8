local time, replies = now(), {}
for place = 1, #ARGV do
  replies[place] = guarded(function()
    local it = registration(ARGV[place])
    return standing(it) or accept(it, time)
  end)
end
flush_indexes()
return replies
