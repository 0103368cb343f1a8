//! Collects evidence from the stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::state_backend::Listing;
use pynenc_core::trigger_store::TriggerRuns;
use pynenc_core::{InvocationId, QueueName, Result, RunnerId};
use pynenc_engine::Parts;

use super::evidence::{Evidence, InvocationEvidence, Leftover, Log};
use crate::ledger::Ledger;

/// The page size of a listing.
const PAGE: usize = 500;
/// The maximum number of concurrent calls.
const AT_ONCE: usize = 64;
/// The maximum number of runs that are read for each trigger.
const RUNS: usize = 100_000;

impl Evidence {
    /// Reads the stores, including the fired runs of the named triggers.
    ///
    /// # Errors
    ///
    /// Fails if a store doesn't answer.
    pub async fn of(parts: &Parts, triggers: &[&str]) -> Result<Self> {
        let mut evidence = Self { invocations: invocations(parts).await?, ..Self::default() };
        evidence.counts = parts.orchestrator.count().await?;
        evidence.runners = parts.orchestrator.runners().await?;
        evidence.read_queues(parts).await?;
        evidence.orphaned_records = orphaned_records(parts).await?;
        for trigger in triggers {
            evidence.fired.extend(parts.triggers.runs(&TriggerRuns::Of((*trigger).into()), RUNS).await?);
        }
        Ok(evidence)
    }

    /// Adds the ledger of task functions and clients.
    #[must_use]
    pub fn with_ledger(mut self, ledger: &Ledger) -> Self {
        self.accepted = ledger.accepted();
        self.results = ledger.results();
        self.notes = ledger.notes();
        self
    }

    /// Adds the log of a process.
    #[must_use]
    pub fn with_log(mut self, name: &str, text: String, disturbances: usize) -> Self {
        self.logs.push(Log { name: name.to_owned(), text, disturbances });
        self
    }

    async fn read_queues(&mut self, parts: &Parts) -> Result<()> {
        let named: BTreeSet<QueueName> =
            self.invocations.values().map(|invocation| invocation.tracked.queue.clone()).collect();
        for queue in named {
            let len = parts.broker.queue(&queue, None).await?;
            self.queues.insert(queue.to_string(), len);
        }
        Ok(())
    }

    /// Finds entries of a store, as keys and values, that still name one of this evidence's invocations or a dead runner.
    /// Call this function when every retention is over.
    pub fn find_leftovers(&mut self, entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, alive: &[RunnerId]) {
        let names = self.names(alive);
        for (key, held) in entries {
            let found = windows(&key).chain(windows(&held)).find_map(|window| names.get(&window));
            let key = key.escape_ascii().to_string();
            self.leftovers.extend(found.map(|of| Leftover { key, of: of.clone() }));
        }
    }

    fn names(&self, alive: &[RunnerId]) -> HashMap<[u8; 16], String> {
        let mut names = HashMap::new();
        for (id, invocation) in &self.invocations {
            names.insert(*id.as_bytes(), format!("invocation {id} of {}", invocation.tracked.task));
            let runners = invocation.history.iter().filter_map(|entry| entry.runner);
            for runner in runners.filter(|runner| !alive.contains(runner)) {
                names.insert(*runner.as_bytes(), format!("runner {runner}"));
            }
        }
        names
    }
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; 16]> {
    bytes.windows(16).filter_map(|window| window.try_into().ok())
}

async fn invocations(parts: &Parts) -> Result<BTreeMap<InvocationId, InvocationEvidence>> {
    let mut find = Find { limit: PAGE, ..Find::default() };
    let mut invocations = BTreeMap::new();
    loop {
        let page = parts.orchestrator.find(&find).await?;
        invocations.extend(read_page(parts, page.items).await?);
        find.after = page.next;
        if find.after.is_none() {
            return Ok(invocations);
        }
    }
}

async fn read_page(parts: &Parts, page: Vec<Tracked>) -> Result<Vec<(InvocationId, InvocationEvidence)>> {
    let ids: Vec<_> = page.iter().map(|tracked| tracked.id).collect();
    let records = parts.state.invocations(&ids).await?;
    let inspected = parts.orchestrator.inspect(&ids).await?;
    let evidence =
        stream::iter(page.into_iter().zip(records).zip(inspected)).map(|((tracked, record), inspected)| async move {
            let id = tracked.id;
            let history = inspected.as_ref().map(|it| it.history.clone()).unwrap_or_default();
            let outcome = parts.state.outcome(id, tracked.record.epoch).await?;
            let journal = parts.state.journal(id).await?;
            let invocation =
                InvocationEvidence { tracked, history, inspected, outcome, has_record: record.is_some(), journal };
            Ok((id, invocation))
        });
    evidence.buffer_unordered(AT_ONCE).try_collect().await
}

async fn orphaned_records(parts: &Parts) -> Result<Vec<InvocationId>> {
    let (mut orphaned_records, mut after) = (Vec::new(), None);
    loop {
        let page = parts.state.list(&Listing::PutBefore(Duration::ZERO), after, PAGE).await?;
        let known = parts.orchestrator.records(&page.items).await?;
        orphaned_records.extend(page.items.iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| *id));
        after = page.next;
        if after.is_none() {
            return Ok(orphaned_records);
        }
    }
}
