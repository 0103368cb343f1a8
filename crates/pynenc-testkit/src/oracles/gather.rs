//! How evidence is taken from the stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::{InvocationId, QueueName, Result, RunnerId};
use pynenc_engine::Parts;

use super::{Evidence, Leftover, Log, Witness};
use crate::RedisServer;
use crate::ledger::Ledger;

/// At most so many are asked for in one call.
const PAGE: usize = 500;
/// So many calls are under way at once.
const AT_ONCE: usize = 64;
/// More runs of one trigger aren't looked at.
const RUNS: usize = 100_000;

impl Evidence {
    /// What the stores know, with what the triggers of these names have fired.
    ///
    /// # Errors
    ///
    /// A store doesn't answer.
    pub async fn of(parts: &Parts, triggers: &[&str]) -> Result<Self> {
        let mut evidence = Self { witnesses: witnesses(parts).await?, ..Self::default() };
        evidence.counts = parts.orchestrator.count().await?;
        evidence.runners = parts.orchestrator.runners().await?;
        evidence.look_into_queues(parts).await?;
        evidence.strays = strays(parts).await?;
        for trigger in triggers {
            evidence.fired.extend(parts.triggers.runs(trigger, RUNS).await?);
        }
        Ok(evidence)
    }

    /// With what bodies and clients wrote down.
    #[must_use]
    pub fn with_ledger(mut self, ledger: &Ledger) -> Self {
        self.accepted = ledger.accepted();
        self.seen = ledger.seen();
        self.notes = ledger.notes();
        self
    }

    /// With what a process has logged.
    #[must_use]
    pub fn with_log(mut self, name: &str, text: String, disturbances: usize) -> Self {
        self.logs.push(Log { name: name.to_owned(), text, disturbances });
        self
    }

    async fn look_into_queues(&mut self, parts: &Parts) -> Result<()> {
        let named: BTreeSet<QueueName> = self.witnesses.values().map(|witness| witness.tracked.queue.clone()).collect();
        for queue in named {
            let len = parts.broker.len(&queue).await?;
            self.queues.insert(queue.to_string(), len);
        }
        Ok(())
    }

    /// Looks for whatever of this evidence's invocations and runners the keys of an app on a server still hold, but for the
    /// runners that live. To be asked once every retention is over.
    pub fn find_leftovers(&mut self, server: &RedisServer, app_id: &str, alive: &[RunnerId]) {
        let names = self.names(alive);
        // What is compressed can't be looked into.
        server.config_set("rdbcompression", "no");
        for (key, held) in everything(server, app_id) {
            let found = windows(&key).chain(windows(&held)).find_map(|window| names.get(&window));
            let key = key.escape_ascii().to_string();
            self.leftovers.extend(found.map(|of| Leftover { key, of: of.clone() }));
        }
    }

    fn names(&self, alive: &[RunnerId]) -> HashMap<[u8; 16], String> {
        let mut names = HashMap::new();
        for (id, witness) in &self.witnesses {
            names.insert(*id.as_bytes(), format!("invocation {id} of {}", witness.tracked.task));
            let runners = witness.history.iter().filter_map(|entry| entry.runner);
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

/// Every key of an app, with the bytes that it holds.
fn everything(server: &RedisServer, app_id: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let script = "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end \
                  local all = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                  all[#all + 1] = hex(key) .. ' ' .. hex(redis.call('DUMP', key)) end return all";
    let all = server.command(&["EVAL", script, "0", &format!("{{{app_id}}}:*")]);
    all.lines().filter_map(|line| line.split_once(' ')).map(|(key, held)| (unhex(key), unhex(held))).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect()
}

async fn witnesses(parts: &Parts) -> Result<BTreeMap<InvocationId, Witness>> {
    let mut find = Find { limit: PAGE, ..Find::default() };
    let mut witnesses = BTreeMap::new();
    loop {
        let page = parts.orchestrator.find(&find).await?;
        witnesses.extend(look_at(parts, page.items).await?);
        find.after = page.next;
        if find.after.is_none() {
            return Ok(witnesses);
        }
    }
}

async fn look_at(parts: &Parts, page: Vec<Tracked>) -> Result<Vec<(InvocationId, Witness)>> {
    let ids: Vec<_> = page.iter().map(|tracked| tracked.id).collect();
    let records = parts.state.invocations(&ids).await?;
    let inspected = parts.orchestrator.inspect(&ids).await?;
    let facts =
        stream::iter(page.into_iter().zip(records).zip(inspected)).map(|((tracked, record), inspected)| async move {
            let id = tracked.id;
            let history = parts.orchestrator.history(id).await?;
            let outcome = parts.state.outcome(id, tracked.record.epoch).await?;
            let journal = parts.state.journal(id).await?;
            let witness = Witness { tracked, history, inspected, outcome, has_record: record.is_some(), journal };
            Ok((id, witness))
        });
    facts.buffer_unordered(AT_ONCE).try_collect().await
}

async fn strays(parts: &Parts) -> Result<Vec<InvocationId>> {
    let (mut strays, mut after) = (Vec::new(), None);
    loop {
        let page = parts.state.aged(Duration::ZERO, after, PAGE).await?;
        let known = parts.orchestrator.records(&page.items).await?;
        strays.extend(page.items.iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| *id));
        after = page.next;
        if after.is_none() {
            return Ok(strays);
        }
    }
}
