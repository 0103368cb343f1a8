-- Makes transitions. Those with the same state before and after and the same controls come together: these three, the
-- number of the transitions, and for each its id and the tail of the log. The reply is the time if all were made and handed
-- no slot on; else the replies follow.
local time = now()
local ids, replies, is_plain, first = {}, {time}, true, 1
allow_full_memory()
while first < #ARGV do
  local last = first + 3 + 2 * ARGV[first + 3]
  for i = first + 4, last, 2 do ids[#ids + 1] = ARGV[i] end
  first = last + 1
end
prefetch(ids)
first = 1
while first < #ARGV do
  local last = first + 3 + 2 * ARGV[first + 3]
  local seen, state, controls = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  for i = first + 4, last, 2 do
    local reply = run_item(make_transition, ARGV[i], seen, state, controls, ARGV[i + 1], time)
    replies[#replies + 1], is_plain = reply, is_plain and reply == 'D'
  end
  first = last + 1
end
flush_indexes()
wake_consumers()
return is_plain and time or replies
