local GONE, BUSY = 0, 1
-- The tasks that the claim leaves out.
local left_out = {}

-- Reads the tasks to leave out, which begin with their number. Gives the index of the next argument.
local function read_left_out(arguments, first)
  local last = first + tonumber(arguments[first])
  for i = first + 1, last do left_out[arguments[i]] = true end
  return last + 1
end

-- Whether the runner may claim: it isn't retired. Makes an unknown runner known.
local function may_claim(runner, time)
  local known = call('HGET', K.runners, runner)
  if known then
    local _, _, retired = parse('>I6I6I6', known)
    return retired == 0
  end
  call('HSET', K.runners, runner, pack('>I6I6I6', time, T.first_lease, 0))
  call('ZADD', K.leases, int(time + T.first_lease), runner)
  return true
end

-- A wait cycle as text, for the detail of a history line.
local function cycle_text(cycle)
  local shown = {}
  for i, id in ipairs(cycle) do
    local digits = string.gsub(id, '.', function(c) return string.format('%02x', byte(c)) end)
    shown[i] = string.gsub(digits, '^(........)(....)(....)(....)(............)$', '%1-%2-%3-%4-%5')
  end
  return table.concat(shown, ' -> ')
end

-- Writes the token of a claim that found no slot, and what became of the invocation. Parks it; or finishes it if its task
-- says so, or fails it if parking closes a cycle.
local function park_or_finish(id, raw, kind, runner, token, time)
  local reg = kind.reg
  local flags = string.char(bit.band(byte(raw, F.flags), 255 - GRANTED))
  raw = sub(raw, 1, L.owner) .. flags .. sub(raw, F.registration_length, kind.token - 1) .. token
    .. sub(raw, kind.behind_token)
  if reg.when_blocked == 1 and parse('>I4', raw, F.starts) == 0 then
    change_unowned(id, raw, S.concurrency_controlled_final, R.slot_taken, 2, runner, time)
    return
  end
  local cycle = wait_cycle(id, {'k' .. reg.running_key})
  if cycle then
    change_unowned(id, raw, S.failed, R.wait_cycle, 6, runner .. detail_text(cycle_text(cycle)), time)
  else
    change_unowned(id, raw, S.concurrency_controlled, R.slot_taken, 2, runner, time)
    park(reg.running_key, id)
  end
end

-- The group of granted claims of a kind of entries.
local function claim_group(kind, runner, runs_below)
  local _, _, version, epoch, deliveries, starts, losses, retries = parse(STATE_FORMAT, kind.state)
  local to, reason, made = S.pending, R.claimed, 1
  if losses < runs_below then to, reason, made, starts = S.running, R.started, 2, starts + 1 end
  local state =
    pack(STATE_FORMAT, to, reason, version + made, epoch + 1, deliveries + 1, starts, losses, retries, 0, runner)
  local group = kind.claims[state]
  if not group then
    group = new_group(kind, state, bit.bor(kind.flags, GRANTED + UNLOGGED))
    kind.claims[state] = group
  end
  return group
end

-- Claims an invocation. Gives the entry as it was before, from which the client computes the new one. A repeat with the
-- same token gets the present entry, and so does a claim that leaves the task out.
local function claim_invocation(id, runner, token, runs_below, time)
  local raw = stored_entry(id)
  if not raw then return GONE end
  local kind = kind_of(raw)
  if sub(raw, kind.token, kind.behind_token - 1) == token then
    if not has_flag(raw, GRANTED) then return BUSY end
    return owner_of(raw) == runner and raw or GONE
  end
  local reg = kind.reg
  if not kind.is_queued or kind.due > time then return GONE end
  if left_out[reg.task] then return raw end
  if reg.when_blocked ~= 0 and not take_slot(reg.running_key, id, reg.limit) then
    park_or_finish(id, raw, kind, runner, token, time)
    return BUSY
  end
  -- A run claims for one runner.
  if kind.run ~= this_run then kind.run, kind.claim = this_run, claim_group(kind, runner, runs_below) end
  local group = kind.claim
  begin_group(group, time)
  replace_entry(id, group.start .. token .. sub(raw, kind.behind_token))
  group[#group + 1] = id
  if group.is_waiting_changed then index_waiting(id, nil, false) end
  if reg.key then update_registration_key(id, reg, group.to, R.claimed, false) end
  return raw
end
