//! Acceptance: a new invocation, or the one that stands for it.

use pynenc_core::orchestrator::{Cursor, Registered, Tracked};
use pynenc_core::record::{Registration, RunningKey};
use pynenc_core::{InvocationId, StatusRecord, Timestamp};

use super::state::{Entry, State, line};

/// A call that runs at once is registered, claimed, started and ended.
const USUAL_LINES: usize = 4;

impl State {
    pub(super) fn register(&mut self, registration: &Registration, now: Timestamp) -> Registered {
        if let Some(entry) = self.entries.get(&registration.id) {
            return Registered::New(entry.tracked.clone());
        }
        self.named(registration)
            .or_else(|| self.waiting(registration))
            .unwrap_or_else(|| self.accept(registration, now))
    }

    fn named(&self, registration: &Registration) -> Option<Registered> {
        let key = registration.idempotency.as_ref()?;
        let named = self.keys.named(&registration.task, key)?;
        Some(if named.arguments == key.arguments {
            Registered::Existing { id: named.id, same_arguments: named.same_arguments }
        } else {
            Registered::Conflict { id: named.id }
        })
    }

    fn waiting(&mut self, registration: &Registration) -> Option<Registered> {
        let (id, same_arguments) = self.keys.waiting(registration.registration.as_ref()?)?;
        self.name(registration, id, same_arguments);
        Some(Registered::Existing { id, same_arguments })
    }

    /// Lets the call's own name stand for `id`, which may be another call's: a repeat gets the same answer.
    fn name(&mut self, registration: &Registration, id: InvocationId, same_arguments: bool) {
        let Some(key) = &registration.idempotency else { return };
        self.keys.name(&registration.task, key, id, same_arguments);
        self.entry_mut(id).names.push((registration.task.clone(), key.key.clone()));
    }

    fn accept(&mut self, registration: &Registration, now: Timestamp) -> Registered {
        let entry = Box::new(Entry::new(registration, now));
        let (tracked, place, id) = (entry.tracked.clone(), entry.place, registration.id);
        self.entries.insert(id, entry);
        self.order.insert(place);
        self.queued.insert(place);
        self.tally.enter(tracked.record.status);
        self.tally.enqueue(&tracked.queue);
        if let Some(key) = &registration.registration {
            self.keys.follow(id, key, true);
        }
        self.name(registration, id, true);
        Registered::New(tracked)
    }
}

impl Entry {
    fn new(registration: &Registration, now: Timestamp) -> Self {
        let record = StatusRecord::registered(registration.due, now);
        let mut history = Vec::with_capacity(USUAL_LINES);
        history.push(line(&record, None, None));
        Self {
            tracked: Tracked {
                id: registration.id,
                task: registration.task.clone(),
                queue: registration.queue.clone(),
                priority: registration.priority,
                limited: registration.running.is_some(),
                record,
            },
            place: Cursor { at: now, id: registration.id },
            registration: registration.registration,
            // A key without a slot would park everything for ever.
            running: registration.running.map(|running| RunningKey { limit: running.limit.max(1), ..running }),
            retention: registration.retention,
            kept_until: now,
            names: Vec::new(),
            last_claim: None,
            history,
        }
    }
}
