-- Notifies watchers of a completion. The message carries the outcome if it comes with this step and is small.
local function notify_watchers(id, raw, outcome)
  local message = 'E' .. id .. sub(raw, 1, T.header) .. (#outcome <= T.pushed_outcome and outcome or '')
  for _, channel in ipairs(call('SMEMBERS', K.watchers .. id)) do call('PUBLISH', channel, message) end
  call('DEL', K.watchers .. id)
end

local function complete(id, raw, reg, outcome, time)
  local status = status_of(raw)
  add_to(retained, retention_of(reg, status), id)
  if status ~= S.success then
    unsuccessful[#unsuccessful + 1], unsuccessful[#unsuccessful + 2] = int(registered_at(raw)), id
  end
  if has_flag(raw, WATCHED) then notify_watchers(id, raw, outcome) end
  add_to_outbox(id, raw, reg.task, time)
end
