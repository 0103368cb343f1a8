//! The definitions of triggers.

use pynenc_core::packed::packed_struct;
use pynenc_core::trigger_store::{StoredTrigger, TriggerDefinition, TriggerId, TriggerUpdate};
use pynenc_core::{Result, Timestamp};

use crate::storage::{Cell, Map, Set, Storage, collections};
use crate::table::Table;

collections! {
    /// The definitions, and which triggers are paused.
    pub(super) struct Definitions {
        all: S::Map<TriggerId, StoredDefinition> = map(Table::Definition),
        paused: S::Set<TriggerId> = set(Table::Paused),
        changes: S::Cell<u64> = cell("definition_changes"),
    }
}

#[derive(Debug)]
struct StoredDefinition {
    definition: TriggerDefinition,
    until: Option<Timestamp>,
}

packed_struct!(StoredDefinition { definition, until });

impl StoredDefinition {
    fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl<S: Storage> Definitions<S> {
    /// Applies a change. Reports whether there is a change that other processes have to know.
    pub(super) fn update(&mut self, update: &TriggerUpdate, now: Timestamp) -> Result<bool> {
        let is_change = match update {
            TriggerUpdate::Define { definition, length } => self.define(definition, length.map(|it| now + it), now)?,
            TriggerUpdate::Pause(id) => {
                let is_change = !self.paused.contains(id)?;
                self.paused.insert(id.clone())?;
                is_change
            }
            TriggerUpdate::Resume(id) => {
                let is_change = self.paused.contains(id)?;
                self.paused.remove(id)?;
                is_change
            }
            TriggerUpdate::Remove(id) => {
                self.all.delete(id.clone())?;
                self.paused.remove(id)?;
                true
            }
        };
        if is_change {
            *self.changes.get_mut()? += 1;
        }
        Ok(is_change)
    }

    /// Stores a definition, and reports whether it is new or different. The longest of its lifetimes counts: a renewal
    /// doesn't shorten the life of a definition that was added to stay.
    fn define(&mut self, definition: &TriggerDefinition, until: Option<Timestamp>, now: Timestamp) -> Result<bool> {
        let before = self.all.get(&definition.id)?.filter(|stored| stored.is_live(now));
        let is_change = before.is_none_or(|before| before.definition != *definition);
        let until = before.map_or(until, |before| before.until.zip(until).map(|(a, b)| a.max(b)));
        self.all.insert(definition.id.clone(), StoredDefinition { definition: definition.clone(), until })?;
        Ok(is_change)
    }

    /// Lists the live triggers, and drops the others.
    pub(super) fn live(&mut self, now: Timestamp) -> Result<Vec<StoredTrigger>> {
        let mut live = Vec::new();
        for id in self.all.keys()? {
            match self.all.get(&id)? {
                Some(stored) if stored.is_live(now) => live.push(StoredTrigger {
                    definition: stored.definition.clone(),
                    paused: self.paused.contains(&id)?,
                    stays: stored.until.is_none(),
                }),
                _ => self.all.delete(id)?,
            }
        }
        Ok(live)
    }

    /// The number of changes.
    pub(super) fn changes(&self) -> Result<u64> {
        self.changes.get().copied()
    }
}
