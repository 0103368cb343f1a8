pass_without_memory()
retire(ARGV[1], now())
return true
