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

-- Parks an invocation that found no free slot. Finishes it if its task says so, and fails it if parking closes a cycle.
local function park_or_finish(id, raw, reg, runner, token, time)
  local starts = parse('>I4', raw, F.starts)
  if reg.when_blocked == 1 and starts == 0 then
    change_unowned(id, raw, S.concurrency_controlled_final, R.slot_taken, 2, runner, time, token)
    return
  end
  local cycle = wait_cycle(id, {'k' .. reg.running_key})
  if cycle then
    change_unowned(id, raw, S.failed, R.wait_cycle, 6, runner .. detail_text(cycle_text(cycle)), time, token)
  else
    change_unowned(id, raw, S.concurrency_controlled, R.slot_taken, 2, runner, time, token)
    park(reg.running_key, id)
  end
end

-- New states by the state before the claim: many invocations have the same. A claim with another runner or limit is of
-- another script.
local claimed_states = {}

local function claimed_state(seen, runner, runs_below)
  local state = claimed_states[seen]
  if not state then
    local _, _, version, epoch, deliveries, starts, losses, retries = parse(STATE_FORMAT, seen)
    local to, reason, made = S.pending, R.claimed, 1
    if losses < runs_below then to, reason, made, starts = S.running, R.started, 2, starts + 1 end
    state = pack(STATE_FORMAT, to, reason, version + made, epoch + 1, deliveries + 1, starts, losses, retries, 0, runner)
    claimed_states[seen] = state
  end
  return state
end

-- Claims an invocation. Gives the entry as it was before, from which the client computes the new one. A repeat with the
-- same token gets the present entry, and so does a claim that leaves the task out.
local function claim_invocation(id, runner, token, runs_below, time)
  local raw = entry(id)
  if not raw then return GONE end
  if sub(raw, F.token, L.token) == token then
    if not has_flag(raw, GRANTED) then return BUSY end
    return owner_of(raw) == runner and raw or GONE
  end
  local status = status_of(raw)
  if not is_queued(raw) or (status ~= S.registered and due_of(raw) > time) then return GONE end
  local reg = registration_of(raw)
  if left_out[reg.task] then return raw end
  if reg.when_blocked ~= 0 and not take_slot(reg.running_key, id, reg.limit) then
    park_or_finish(id, raw, reg, runner, token, time)
    return BUSY
  end
  local state = claimed_state(sub(raw, F.status, L.owner), runner, runs_below)
  local flags = bit.bor(byte(raw, F.flags), GRANTED + UNLOGGED)
  write_part(id, T.before_token, token .. packed_time(time) .. state .. string.char(flags))
  add_count(reg, status, true, -1)
  add_count(reg, byte(state), false, 1)
  index_waiting(id, raw, true, false)
  add_to(gained, runner, id)
  if reg.key then update_registration_key(id, reg, byte(state), byte(state, 2), false) end
  return raw
end
