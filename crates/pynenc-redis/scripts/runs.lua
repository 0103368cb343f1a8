-- Reads the last runs of a trigger, or undelivered runs that were fired long enough ago. A run is its time, the result
-- of its delivery behind a mark or nothing, and the encoded run.
local limit, kind, replies = tonumber(ARGV[1]), ARGV[2], {}
local places
if kind == 'undelivered' then
  places = due_offers(K.undelivered, now(), ARGV[3], limit)
else
  places = call('ZREVRANGE', K.runs_of .. ARGV[3], 0, limit - 1)
end
for _, position in ipairs(places) do
  local id = sub(position, 7)
  local stored = call('HGET', K.runs, id)
  if stored then
    local time, _, _, rest = parse('>I6I2c0I2c0', stored)
    local delivery = call('HGET', K.deliveries, id)
    replies[#replies + 1] = time
    replies[#replies + 1] = delivery and ('D' .. delivery) or ''
    replies[#replies + 1] = sub(stored, rest)
  end
end
return replies
