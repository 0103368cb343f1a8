//! Registering: a call becomes a new invocation, or gets an existing one by its keys.

use pynenc_core::orchestrator::{Registered, Tracked};
use pynenc_core::page::Cursor;
use pynenc_core::record::{Registration, RunningKey};
use pynenc_core::{InvocationId, Result, StatusRecord, Timestamp};

use super::state::{Effects, Entry, State, history_entry};
use crate::storage::{Map, Set, Storage};

/// The length of a usual history: registered, pending, running, success.
const USUAL_HISTORY: usize = 4;

impl<S: Storage, E: Effects> State<S, E> {
    /// Accepts an invocation, or finds the one that stands for the call.
    pub fn register(&mut self, registration: &Registration, now: Timestamp) -> Result<Registered> {
        self.register_from(registration, false, now)
    }

    /// Accepts an invocation like [`State::register`], for a lane, which stores the record and pushes the hint in the same step.
    pub fn register_in_lane(&mut self, registration: &Registration, now: Timestamp) -> Result<Registered> {
        self.register_from(registration, true, now)
    }

    fn register_from(&mut self, registration: &Registration, in_lane: bool, now: Timestamp) -> Result<Registered> {
        if let Some(entry) = self.entries.get(&registration.id)? {
            return Ok(Registered::New(entry.tracked.clone()));
        }
        if let Some(registered) = self.by_idempotency_key(registration)? {
            return Ok(registered);
        }
        match self.by_registration_key(registration)? {
            Some(registered) => Ok(registered),
            None => self.accept(registration, in_lane, now),
        }
    }

    fn by_idempotency_key(&self, registration: &Registration) -> Result<Option<Registered>> {
        let Some(key) = registration.idempotency.as_ref() else { return Ok(None) };
        let call = self.keys.idempotent(&registration.task, key)?;
        Ok(call.map(|call| {
            if call.arguments == key.arguments {
                Registered::Existing { id: call.id, same_arguments: call.same_arguments }
            } else {
                Registered::Conflict { id: call.id }
            }
        }))
    }

    fn by_registration_key(&mut self, registration: &Registration) -> Result<Option<Registered>> {
        let Some(key) = registration.registration.as_ref() else { return Ok(None) };
        let Some((id, same_arguments)) = self.keys.holder(key)? else { return Ok(None) };
        self.add_idempotency_key(registration, id, same_arguments)?;
        Ok(Some(Registered::Existing { id, same_arguments }))
    }

    /// Gives the call's idempotency key to `id`, which may be another call's invocation: a repeat gets the same reply.
    fn add_idempotency_key(
        &mut self,
        registration: &Registration,
        id: InvocationId,
        same_arguments: bool,
    ) -> Result<()> {
        let Some(key) = &registration.idempotency else { return Ok(()) };
        self.keys.add_idempotent(&registration.task, key, id, same_arguments)?;
        self.entry_mut(id)?.idempotency_keys.push((registration.task.clone(), key.key.clone()));
        Ok(())
    }

    fn accept(&mut self, registration: &Registration, in_lane: bool, now: Timestamp) -> Result<Registered> {
        let entry = Box::new(Entry::new(registration, in_lane, now));
        let (tracked, position, id) = (entry.tracked.clone(), entry.position, registration.id);
        self.entries.insert(id, entry)?;
        self.order.insert(position)?;
        if !in_lane {
            self.queued.insert(position)?;
        }
        self.counters.add(tracked.record.status)?;
        self.counters.enqueue(&tracked.queue, in_lane)?;
        if let Some(key) = &registration.registration {
            self.keys.update(id, key, true)?;
        }
        self.add_idempotency_key(registration, id, true)?;
        Ok(Registered::New(tracked))
    }
}

impl Entry {
    fn new(registration: &Registration, in_lane: bool, now: Timestamp) -> Self {
        let record = StatusRecord::registered(registration.due, now);
        let mut history = Vec::with_capacity(USUAL_HISTORY);
        history.push(history_entry(&record, None, None));
        Self {
            tracked: Tracked {
                id: registration.id,
                task: registration.task.clone(),
                queue: registration.queue.clone(),
                priority: registration.priority,
                limited: registration.running.is_some(),
                record,
            },
            position: Cursor { at: now, id: registration.id },
            registration: registration.registration,
            // A key without a slot would park every invocation for ever.
            running: registration.running.map(|running| RunningKey { limit: running.limit.max(1), ..running }),
            retention: registration.retention,
            kept_until: now,
            idempotency_keys: Vec::new(),
            last_claim: None,
            in_lane,
            hint: None,
            history,
        }
    }
}
