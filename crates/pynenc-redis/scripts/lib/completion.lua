-- Notifies watchers of a completion. The message carries the end of the log if it is small: it may have the outcome.
local function notify_watchers(id, raw, tail)
  local message = 'E' .. id .. start_of(raw) .. (#tail <= T.pushed_outcome and tail or '')
  for _, channel in ipairs(call('SMEMBERS', K.watchers .. id)) do call('PUBLISH', channel, message) end
  call('DEL', K.watchers .. id)
end

local function complete(id, raw, reg, tail, time)
  if status_of(raw) ~= S.success then
    unsuccessful[#unsuccessful + 1], unsuccessful[#unsuccessful + 2] = int(registered_at(raw)), id
  end
  if has_flag(raw, WATCHED) then notify_watchers(id, raw, tail) end
  add_to_outbox(id, raw, reg.task, time)
end
