for _, sequence in ipairs(ARGV) do
  call('HDEL', K.outbox, sequence)
  call('ZREM', K.fresh, sequence)
  call('ZREM', K.offered, sequence)
end
return true
