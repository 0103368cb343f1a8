return call('ZRANGEBYSCORE', K.retained, '-inf', now(), 'LIMIT', 0, ARGV[1])
