//! Trials of [`StateBackend`].

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::page::{Cursor, Page, all_pages};
use pynenc_core::record::{InvocationRecord, Outcome};
use pynenc_core::state_backend::{
    Appended, Journal, JournalEntry, JournalOpening, JournalRecord, Listing, OutcomeWrite,
};
use pynenc_core::{Digest, ErrorKind, InvocationId, StateBackend, Timestamp};

use super::sample::{self, HOUR, SECOND, outcome, payload, registration};
use super::{Harness, suite, trials};

type Given = Harness<dyn StateBackend>;

suite!($ StateBackend, state_backend, state_backend_conformance);

trials! { pub Given:
    "a record is read back as it was put" => record_is_read_back,
    "putting a record again changes nothing" => putting_again_changes_nothing,
    "records are read in the order of the ids, and an unknown invocation gives `None`" => unknown_is_none,
    "each epoch keeps one outcome: the first" => first_outcome_stays,
    "outcomes of different epochs are independent" => epochs_are_independent,
    "an outcome is read by its epoch, and another epoch has none" => outcome_is_read_by_epoch,
    "workflow runs are listed in the order of their first opening" => runs_are_listed,
    "records that are old enough are listed by pages, and younger ones aren't" => old_records_are_listed,
    "children are listed by pages until they are forgotten" => children_are_listed,
    "a journal is read back in the order of its appends, with their times" => journal_is_read_back,
    "opening with an epoch below the fence is an error of kind `Fenced`" => fenced_cannot_open,
    "each attempt is counted once, however often it opens the journal" => attempts_are_counted,
    "a copied journal continues after the last entry of the original, and the original stays as it was" => journals_are_copied,
    "reading a journal raises no fence" => reading_raises_no_fence,
    "a position is recorded once, and a second append gets the first entry" => position_is_recorded_once,
    "an append below the fence is refused with kind `Fenced`" => fenced_cannot_append,
    "workflow data is read back, the last write wins, and workflows don't see each other's data" => data_is_read_back,
    "a forgotten invocation is gone with its outcomes, journal and workflow data" => forgotten_is_gone,
    "after a purge the state backend is empty" => purged_is_empty,
}

fn record() -> InvocationRecord {
    sample::record(&registration())
}

fn entry(position: &str, value: &str) -> JournalEntry {
    let (position, kind, name) = (position.into(), "step".into(), "testkit".into());
    JournalEntry { position, kind, name, arguments: Digest::of(value.as_bytes()), value: payload(value) }
}

fn parent() -> InvocationId {
    InvocationId::from_bytes([9; 16])
}

fn opening(id: InvocationId, epoch: u64) -> JournalOpening {
    JournalOpening { id, epoch, attempt: 1, workflow: Some(parent()), takes_over: None }
}

fn entries(journal: Journal) -> Vec<JournalEntry> {
    journal.entries.into_iter().map(|recorded| recorded.entry).collect()
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
        self.append_journal(id, epoch, &[entry]).await.expect("append_journal").remove(0)
    }

    /// Appends a new entry, and returns its time.
    async fn append_new(&self, id: InvocationId, epoch: u64, text: &str) -> Timestamp {
        let appended = self.append(id, epoch, entry(text, text)).await;
        let Appended::New(at) = appended else { panic!("{text} isn't new: {appended:?}") };
        at
    }

    async fn open(&self, opening: JournalOpening) -> Journal {
        self.open_journal(&opening).await.expect("open_journal")
    }

    async fn listed(&self, listing: Listing) -> Vec<InvocationId> {
        all_pages(|after| self.list(&listing, after, 1)).await.expect("list")
    }

    async fn page(&self, listing: Listing, after: Option<Cursor>) -> Page<InvocationId> {
        self.list(&listing, after, 2).await.expect("list")
    }

    async fn journaled(&self, id: InvocationId, epoch: u64) -> Vec<JournalEntry> {
        entries(self.open(opening(id, epoch)).await)
    }
}

async fn record_is_read_back(state: Given) {
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
    assert_eq!(state.listed(Listing::PutBefore(SECOND)).await, [record.id], "a second put doesn't change its age");
}

async fn unknown_is_none(state: Given) {
    let ids = state.put([record(), record()]).await;
    let found = state.invocations(&[ids[1], InvocationId::new(), ids[0]]).await.expect("invocations");
    let found: Vec<_> = found.iter().map(|record| record.as_ref().map(|record| record.id)).collect();
    assert_eq!(found, [Some(ids[1]), None, Some(ids[0])]);
}

async fn children_are_listed(state: Given) {
    let parent = InvocationId::new();
    let records = [record(), record(), record()].map(|child| InvocationRecord { parent: Some(parent), ..child });
    let mut children = state.put(records).await;
    children.sort_unstable();
    state.put([record()]).await;
    let first = state.page(Listing::Children(parent), None).await;
    assert_eq!(first.items, children[..2]);
    let second = state.page(Listing::Children(parent), first.next).await;
    assert_eq!((second.items.as_slice(), second.next), (&children[2..], None));
    assert_eq!(state.listed(Listing::Children(parent)).await, children);
    state.forget(&children[..1]).await.expect("forget");
    assert_eq!(state.listed(Listing::Children(parent)).await, children[1..]);
    assert_eq!(state.listed(Listing::Children(children[1])).await, []);
}

async fn first_outcome_stays(state: Given) {
    let id = state.put([record()]).await[0];
    state.leave(id, 1, "first").await;
    state.leave(id, 1, "second").await;
    assert_eq!(state.left(id, 1).await, Some(outcome("first")));
}

async fn epochs_are_independent(state: Given) {
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
    let mut times = Vec::new();
    for position in ["1", "10", "2", "b/1"] {
        times.push(state.append_new(ids[0], 1, position).await);
        state.advance(SECOND).await;
    }
    let journal = state.open(opening(ids[0], 2)).await;
    assert_eq!((journal.origin, journal.now >= times[3] + SECOND), (ids[0], true));
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + SECOND), "{times:?}");
    assert!(journal.entries.iter().map(|recorded| recorded.at).eq(times));
    let written = ["1", "10", "2", "b/1"].map(|position| entry(position, position));
    assert_eq!(entries(journal), written);
    assert_eq!(state.journaled(ids[1], 1).await, []);
}

async fn fenced_cannot_open(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 2).await;
    assert_eq!(state.open_journal(&opening(id, 1)).await.expect_err("fenced").kind(), ErrorKind::Fenced);
    assert_eq!(state.journaled(id, 2).await, [], "an owner at the fence may open the journal again");
}

async fn attempts_are_counted(state: Given) {
    let id = state.put([record()]).await[0];
    let mut tries = Vec::new();
    for (epoch, attempt) in [(1, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
        tries.push(state.open(JournalOpening { attempt, ..opening(id, epoch) }).await.tries);
    }
    assert_eq!(tries, [1, 1, 1, 2, 2, 3]);
}

async fn journals_are_copied(state: Given) {
    let ids = state.put([record(), record(), record()]).await;
    state.open(JournalOpening { workflow: None, ..opening(ids[0], 9) }).await;
    state.append_new(ids[0], 9, "1").await;
    let takes_over = JournalOpening { takes_over: Some(ids[0]), ..opening(ids[1], 1) };
    let journal = state.open(takes_over).await;
    assert_eq!((journal.origin, journal.tries), (ids[0], 2));
    let copied = journal.entries[0].clone();
    assert_eq!(entries(journal), [entry("1", "1")]);
    state.append_new(ids[1], 1, "2").await;
    assert_eq!(state.append(ids[1], 1, entry("1", "other")).await, Appended::Existing(copied));
    state.append_new(ids[0], 9, "3").await;
    assert_eq!(entries(state.open(takes_over).await), [entry("1", "1"), entry("2", "2")], "a journal is copied once");
    assert_eq!(state.journaled(ids[0], 9).await, [entry("1", "1"), entry("3", "3")]);
    let of_unknown = state.open(JournalOpening { takes_over: Some(InvocationId::new()), ..opening(ids[2], 1) }).await;
    assert_eq!((of_unknown.origin, of_unknown.tries, of_unknown.entries.len()), (ids[2], 1, 0));
}

async fn runs_are_listed(state: Given) {
    let mut ids = state.put([record(), record(), record(), record()]).await;
    ids.reverse();
    for id in &ids[..3] {
        state.open(JournalOpening { workflow: None, ..opening(*id, 1) }).await;
        state.advance(SECOND).await;
    }
    state.open(opening(ids[3], 1)).await;
    state.open(JournalOpening { workflow: None, ..opening(ids[0], 2) }).await;
    let copy = state.put([record()]).await[0];
    let takes_over = JournalOpening { workflow: Some(ids[0]), takes_over: Some(ids[0]), ..opening(copy, 1) };
    state.open(takes_over).await;
    let first = state.page(Listing::WorkflowRuns, None).await;
    assert_eq!(first.items, ids[..2]);
    let second = state.page(Listing::WorkflowRuns, first.next).await;
    assert_eq!((second.items.as_slice(), second.next), (&[ids[2], copy][..], None));
}

async fn reading_raises_no_fence(state: Given) {
    let id = state.put([record()]).await[0];
    assert_eq!(state.journal(id).await.expect("journal"), None);
    state.journaled(id, 1).await;
    state.append_new(id, 1, "1").await;
    let journal = state.journal(id).await.expect("journal").expect("the journal was opened");
    assert_eq!((journal.origin, journal.tries), (id, 1));
    assert_eq!(entries(journal), [entry("1", "1")]);
    state.append_new(id, 1, "2").await;
}

async fn position_is_recorded_once(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 1).await;
    let at = state.append_new(id, 1, "1").await;
    state.advance(SECOND).await;
    let first = JournalRecord { entry: entry("1", "1"), at };
    let both = state.append_journal(id, 1, &[entry("1", "second"), entry("2", "2")]).await.expect("append_journal");
    assert_eq!(both[0], Appended::Existing(first));
    assert!(matches!(both[1], Appended::New(later) if later >= at + SECOND));
    assert_eq!(state.journaled(id, 1).await, [entry("1", "1"), entry("2", "2")]);
}

async fn fenced_cannot_append(state: Given) {
    let id = state.put([record()]).await[0];
    state.journaled(id, 2).await;
    let refused = state.append_journal(id, 1, &[entry("1", "late")]).await;
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

async fn old_records_are_listed(state: Given) {
    let mut old = state.put([record(), record(), record()]).await;
    old.sort_unstable();
    state.advance(HOUR).await;
    state.put([record()]).await;
    let first = state.page(Listing::PutBefore(HOUR), None).await;
    assert_eq!(first.items, old[..2]);
    let second = state.page(Listing::PutBefore(HOUR), first.next).await;
    assert_eq!((second.items.as_slice(), second.next), (&old[2..], None));
    assert_eq!(state.listed(Listing::PutBefore(HOUR + SECOND)).await, []);
}

async fn forgotten_is_gone(state: Given) {
    let ids = state.put([record(), record()]).await;
    for id in &ids {
        state.leave(*id, 1, "value").await;
        state.open(JournalOpening { workflow: None, ..opening(*id, 7) }).await;
        state.append(*id, 7, entry("1", "value")).await;
        state.put_workflow_data(*id, "key", payload("value")).await.expect("put_workflow_data");
    }
    state.forget(&[ids[0], InvocationId::new()]).await.expect("forget");
    assert_eq!(state.read(ids[0]).await, None);
    assert_eq!(state.left(ids[0], 1).await, None);
    assert_eq!(state.journaled(ids[0], 1).await, [], "the fence is gone too");
    assert_eq!(state.workflow_data(ids[0], "key").await.expect("workflow_data"), None);
    assert_eq!(state.listed(Listing::PutBefore(Duration::ZERO)).await, ids[1..]);
    assert_eq!(state.listed(Listing::WorkflowRuns).await, ids[1..]);
    assert_eq!(state.left(ids[1], 1).await, Some(outcome("value")), "the other invocation stays");
}

async fn purged_is_empty(state: Given) {
    let parent = InvocationId::new();
    let id = state.put([InvocationRecord { parent: Some(parent), ..record() }]).await[0];
    state.leave(id, 1, "value").await;
    state.open(JournalOpening { workflow: None, ..opening(id, 1) }).await;
    state.append(id, 1, entry("1", "value")).await;
    state.purge().await.expect("purge");
    assert_eq!(state.read(id).await, None);
    assert_eq!(state.left(id, 1).await, None);
    assert_eq!(state.journaled(id, 1).await, []);
    assert_eq!(state.listed(Listing::Children(parent)).await, []);
    assert_eq!(state.listed(Listing::PutBefore(Duration::ZERO)).await, []);
    assert_eq!(state.listed(Listing::WorkflowRuns).await, []);
}
