-- Keeps for longer what has ended: out of its list, and until a time of its own.
local till = now() + ARGV[1]
pass_without_memory()
for place = 2, #ARGV do
  local id = ARGV[place]
  local e = read(id)
  if e and is(T.final, e[E.status]) and e[E.at] + kept_for(e) < till then
    call('LREM', K.retained .. int(kept_for(e)), 1, id)
    call('ZADD', K.kept_longer, 'GT', int(till), id)
  end
end
return true
