for _, id in ipairs(ARGV) do
  call('HDEL', K.definitions, id)
  call('SREM', K.paused, id)
end
call('PUBLISH', K.news, 'D')
return true
