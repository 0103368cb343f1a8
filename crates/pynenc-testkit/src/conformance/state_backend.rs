//! The trials of [`StateBackend`].

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::record::{InvocationRecord, Outcome};
use pynenc_core::state_backend::{Appended, JournalEntry, OutcomeWrite};
use pynenc_core::{Digest, ErrorKind, InvocationId, StateBackend};

use super::sample::{self, HOUR, SECOND, outcome, payload, registration};
use super::{Harness, suite, trials};

type Given = Harness<dyn StateBackend>;

suite!($ StateBackend, state_backend, state_backend_conformance);

trials! { pub Given:
    "what is put is read back as it was" => put_is_read_back,
    "putting again changes nothing" => putting_again_changes_nothing,
    "what is unknown is `None`, in the order of the ids" => unknown_is_none,
    "children are listed until they are forgotten" => children_are_listed,
    "an outcome is kept once for each epoch: the first stays" => first_outcome_stays,
    "outcomes of different epochs don't touch each other" => epochs_are_apart,
    "an outcome is read by its epoch, and another epoch has none" => outcome_is_read_by_epoch,
    "a journal is read back in its order" => journal_is_read_back,
    "an epoch below the fence can't read and is an error of kind `Fenced`" => fenced_cannot_read,
    "a position is recorded once, and a second append gets the first entry" => position_is_recorded_once,
    "an append below the fence is refused with kind `Fenced`" => fenced_cannot_append,
    "workflow data is read back, the last write wins, and workflows don't see each other's" => data_is_read_back,
    "what is old enough is listed by pages, and what is younger isn't" => old_is_listed,
    "what is forgotten is gone with everything that hangs on it" => forgotten_is_gone,
    "after a purge nothing is known" => purged_is_unknown,
}

fn record() -> InvocationRecord {
    sample::record(&registration())
}

fn entry(position: &str, value: &str) -> JournalEntry {
    let (position, kind, name) = (position.into(), "step".into(), "testkit".into());
    JournalEntry { position, kind, name, arguments: Digest::of(value.as_bytes()), value: payload(value) }
}

impl Given {
    async fn put(&self, records: impl IntoIterator<Item = InvocationRecord>) -> Vec<InvocationId> {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        self.put_invocations(&records).await.expect("put_invocations");
        records.iter().map(|record| record.id).collect()
    }

    async fn read(&self, id: InvocationId) -> Option<Arc<InvocationRecord>> {
        self.invocations(&[id]).await.expect("invocations").remove(0)
    }

    async fn leave(&self, id: InvocationId, epoch: u64, text: &str) {
        self.put_outcomes(&[OutcomeWrite { id, epoch, outcome: outcome(text) }]).await.expect("put_outcomes");
    }

    async fn left(&self, id: InvocationId, epoch: u64) -> Option<Outcome> {
        self.outcome(id, epoch).await.expect("outcome")
    }

    async fn append(&self, id: InvocationId, epoch: u64, entry: JournalEntry) -> Appended {
        self.journal_append(id, epoch, entry).await.expect("journal_append")
    }

    async fn journaled(&self, id: InvocationId, epoch: u64) -> Vec<JournalEntry> {
        self.journal(id, epoch).await.expect("journal")
    }
}

async fn put_is_read_back(state: Given) {
    let record = InvocationRecord { parent: Some(InvocationId::new()), ..record() };
    state.put([record.clone()]).await;
    assert_eq!(state.read(record.id).await.as_deref(), Some(&record));
}

async fn putting_again_changes_nothing(state: Given) {
    let record = record();
    state.put([record.clone()]).await;
    state.advance(SECOND).await;
    state.put([record.clone()]).await;
    assert_eq!(state.read(record.id).await.as_deref(), Some(&record));
    assert_eq!(state.aged(SECOND, None, 10).await.expect("aged").items, [record.id], "it is as old as it was");
}

async fn unknown_is_none(state: Given) {
    let ids = state.put([record(), record()]).await;
    let found = state.invocations(&[ids[1], InvocationId::new(), ids[0]]).await.expect("invocations");
    let found: Vec<_> = found.iter().map(|record| record.as_ref().map(|record| record.id)).collect();
    assert_eq!(found, [Some(ids[1]), None, Some(ids[0])]);
}

async fn children_are_listed(state: Given) {
    let parent = InvocationId::new();
    let children =
        state.put([record(), record()].map(|child| InvocationRecord { parent: Some(parent), ..child })).await;
    state.put([record()]).await;
    assert_eq!(state.children(parent).await.expect("children"), children);
    state.forget(&children[..1]).await.expect("forget");
    assert_eq!(state.children(parent).await.expect("children"), children[1..]);
    assert_eq!(state.children(children[1]).await.expect("children"), []);
}

async fn first_outcome_stays(state: Given) {
    let id = state.put([record()]).await[0];
    state.leave(id, 1, "first").await;
    state.leave(id, 1, "second").await;
    assert_eq!(state.left(id, 1).await, Some(outcome("first")));
}

async fn epochs_are_apart(state: Given) {
    let id = state.put([record()]).await[0];
    state.leave(id, 2, "newer").await;
    state.leave(id, 1, "older").await;
    assert_eq!(state.left(id, 2).await, Some(outcome("newer")));
    assert_eq!(state.left(id, 1).await, Some(outcome("older")));
}

async fn outcome_is_read_by_epoch(state: Given) {
    let ids = state.put([record(), record()]).await;
    state.leave(ids[0], 1, "value").await;
    assert_eq!(state.left(ids[0], 1).await, Some(outcome("value")));
    assert_eq!(state.left(ids[0], 2).await, None);
    assert_eq!(state.left(ids[1], 1).await, None);
}

async fn journal_is_read_back(state: Given) {
    let ids = state.put([record(), record()]).await;
    assert_eq!(state.journaled(ids[0], 1).await, []);
    for position in ["1", "10", "2", "b/1"] {
        assert_eq!(state.append(ids[0], 1, entry(position, position)).await, Appended::New);
    }
    let written = ["1", "10", "2", "b/1"].map(|position| entry(position, position));
    assert_eq!(state.journaled(ids[0], 1).await, written);
    assert_eq!(state.journaled(ids[0], 2).await, written);
    assert_eq!(state.journaled(ids[1], 1).await, []);
}

async fn fenced_cannot_read(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 2).await;
    assert_eq!(state.journal(id, 1).await.expect_err("fenced").kind(), ErrorKind::Fenced);
    assert_eq!(state.journaled(id, 2).await, [], "who stands at the fence may read");
}

async fn position_is_recorded_once(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 1).await;
    assert_eq!(state.append(id, 1, entry("1", "first")).await, Appended::New);
    assert_eq!(state.append(id, 1, entry("1", "second")).await, Appended::Existing(entry("1", "first")));
    assert_eq!(state.journaled(id, 1).await, [entry("1", "first")]);
}

async fn fenced_cannot_append(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 2).await;
    let refused = state.journal_append(id, 1, entry("1", "late")).await;
    assert_eq!(refused.expect_err("fenced").kind(), ErrorKind::Fenced);
    assert_eq!(state.journaled(id, 2).await, []);
}

async fn data_is_read_back(state: Given) {
    let ids = state.put([record(), record()]).await;
    for (id, value) in [(ids[0], "old"), (ids[0], "new"), (ids[1], "other")] {
        state.put_workflow_data(id, "key", payload(value)).await.expect("put_workflow_data");
    }
    assert_eq!(state.workflow_data(ids[0], "key").await.expect("workflow_data"), Some(payload("new")));
    assert_eq!(state.workflow_data(ids[1], "key").await.expect("workflow_data"), Some(payload("other")));
    assert_eq!(state.workflow_data(ids[1], "else").await.expect("workflow_data"), None);
}

async fn old_is_listed(state: Given) {
    let mut old = state.put([record(), record(), record()]).await;
    old.sort_unstable();
    state.advance(HOUR).await;
    state.put([record()]).await;
    let first = state.aged(HOUR, None, 2).await.expect("aged");
    assert_eq!(first.items, old[..2]);
    let second = state.aged(HOUR, first.next, 2).await.expect("aged");
    assert_eq!((second.items.as_slice(), second.next), (&old[2..], None));
    assert_eq!(state.aged(HOUR + SECOND, None, 2).await.expect("aged").items, []);
}

async fn forgotten_is_gone(state: Given) {
    let ids = state.put([record(), record()]).await;
    for id in &ids {
        state.leave(*id, 1, "value").await;
        state.journaled(*id, 7).await;
        state.append(*id, 7, entry("1", "value")).await;
        state.put_workflow_data(*id, "key", payload("value")).await.expect("put_workflow_data");
    }
    state.forget(&[ids[0], InvocationId::new()]).await.expect("forget");
    assert_eq!(state.read(ids[0]).await, None);
    assert_eq!(state.left(ids[0], 1).await, None);
    assert_eq!(state.journaled(ids[0], 1).await, [], "its fence is gone too");
    assert_eq!(state.workflow_data(ids[0], "key").await.expect("workflow_data"), None);
    assert_eq!(state.aged(Duration::ZERO, None, 10).await.expect("aged").items, ids[1..]);
    assert_eq!(state.left(ids[1], 1).await, Some(outcome("value")), "the other one stays");
}

async fn purged_is_unknown(state: Given) {
    let parent = InvocationId::new();
    let id = state.put([InvocationRecord { parent: Some(parent), ..record() }]).await[0];
    state.leave(id, 1, "value").await;
    state.append(id, 1, entry("1", "value")).await;
    state.purge().await.expect("purge");
    assert_eq!(state.read(id).await, None);
    assert_eq!(state.left(id, 1).await, None);
    assert_eq!(state.journaled(id, 1).await, []);
    assert_eq!(state.children(parent).await.expect("children"), []);
    assert_eq!(state.aged(Duration::ZERO, None, 10).await.expect("aged").items, []);
}
