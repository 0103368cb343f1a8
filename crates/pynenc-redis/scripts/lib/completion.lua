-- The outcomes that this script stores, by invocation.
local outcomes = {}

-- Notifies watchers of a completion. The message carries the outcome if this script stores it and it is small.
local function notify_watchers(id, header)
  local outcome = outcomes[id]
  local message = 'E' .. id .. header .. (outcome and #outcome <= T.pushed_outcome and outcome or '')
  for _, channel in ipairs(call('SMEMBERS', K.watchers .. id)) do call('PUBLISH', channel, message) end
  call('DEL', K.watchers .. id)
end

local function complete(id, e, time)
  retain(int(retention_of(e)), id)
  if e[E.status] ~= S.success then index_unsuccessful(id, e[E.registered_at]) end
  if e[E.watched] == 1 then notify_watchers(id, header_of(e)) end
  add_to_outbox(id, e, time)
end
