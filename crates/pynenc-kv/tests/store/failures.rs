//! Steps whose transaction fails, data that can't be read, and steps that share a transaction.

use std::sync::{Arc, Mutex};

use pynenc_core::broker::Message;
use pynenc_core::record::Priority;
use pynenc_core::{Error, ErrorKind, Result};
use pynenc_kv::{Durability, Group, KeyRange, KeyValue, Step, Table, Transaction, Writer};
use pynenc_testkit::conformance::sample::{pop, submission};

use crate::World;

#[tokio::test]
async fn a_submission_that_fails_at_any_operation_changes_nothing() {
    let world = World::new();
    world.lane.submit(vec![submission()]).await.expect("submit");
    let submission = submission();
    for operations in 0.. {
        let before = world.map.tables();
        world.map.fail_after(operations);
        let submitted = world.lane.submit(vec![submission.clone()]).await;
        let has_failed = world.map.mend();
        let Err(error) = submitted else {
            assert!(!has_failed && operations > 5);
            assert_ne!(before, world.map.tables());
            break;
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(before, world.map.tables(), "operation {operations}");
    }
    assert_eq!(world.broker.pop(&pop(10)).await.expect("pop").len(), 2);
}

#[tokio::test]
async fn data_that_cannot_be_read_is_an_error_that_names_the_table() {
    let world = World::new();
    let submission = submission();
    world.lane.submit(vec![submission.clone()]).await.expect("submit");
    for (value, message) in [(vec![], "empty"), (vec![99, 1], "layout"), (vec![2, 255], "too short")] {
        world.map.set(Table::Entry, submission.registration.id.as_bytes(), value);
        let error = world.orchestrator.records(&[submission.registration.id]).await.expect_err("the entry is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(message) && error.to_string().contains("entry"), "{error}");
    }
    let hint = Message {
        invocation: submission.registration.id,
        queue: "default".into(),
        priority: Priority::default(),
        not_before: None,
    };
    world.broker.push(&[hint]).await.expect("other tables can be read");
}

type Results = Arc<Mutex<Vec<(&'static str, Option<ErrorKind>)>>>;

/// A step that writes its name, unless it fails first.
struct Named {
    name: &'static str,
    fails: bool,
    durability: Durability,
    results: Results,
}

impl Step for Named {
    fn run(&mut self, transaction: &mut dyn Transaction) -> Result<()> {
        if self.fails {
            return Err(Error::corrupt("the step fails alone"));
        }
        transaction.put(Table::Meta, self.name.as_bytes(), &[])
    }

    fn finished(self: Box<Self>, result: Result<()>) {
        self.results.lock().expect("no panic").push((self.name, result.err().map(|error| error.kind())));
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}

/// Three steps, of which the second fails alone.
fn steps(results: &Results) -> Vec<Box<dyn Step>> {
    let named = |(name, fails, durability)| {
        Box::new(Named { name, fails, durability, results: results.clone() }) as Box<dyn Step>
    };
    let (process, power) = (Durability::Process, Durability::Power);
    [("first", false, process), ("second", true, process), ("third", false, power)].map(named).into()
}

/// A transaction that only counts, and fails at the second write if it is told so.
struct Counting {
    writes: usize,
    fails: bool,
}

impl Transaction for Counting {
    fn get(&mut self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<()> {
        self.writes += 1;
        if self.fails && self.writes == 2 { Err(Error::unavailable("the disk is full")) } else { Ok(()) }
    }

    fn delete(&mut self, _: Table, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn range(&mut self, _: Table, _: KeyRange<'_>, _: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        Ok(Vec::new())
    }

    fn delete_range(&mut self, _: Table, _: KeyRange<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_step_that_fails_alone_leaves_the_others_of_its_group_alone() {
    let results = Results::default();
    let mut group = Group::new(steps(&results));
    assert_eq!(group.durability(), Durability::Power);
    let committed = group.run(&mut Counting { writes: 0, fails: false });
    group.finish(committed);
    let expected = [("first", None), ("second", Some(ErrorKind::Corrupt)), ("third", None)];
    assert_eq!(*results.lock().expect("no panic"), expected);
}

#[test]
fn an_error_of_the_store_fails_the_whole_group() {
    let results = Results::default();
    let mut group = Group::new(steps(&results));
    let committed = group.run(&mut Counting { writes: 0, fails: true });
    assert_eq!(committed.as_ref().map_err(Error::kind), Err(ErrorKind::Unavailable));
    group.finish(committed);
    let unavailable = Some(ErrorKind::Unavailable);
    let expected = [("first", unavailable), ("second", unavailable), ("third", unavailable)];
    assert_eq!(*results.lock().expect("no panic"), expected);
}

#[test]
fn a_panic_in_a_step_fails_the_group_and_nothing_else() {
    struct Panicking(Results);

    impl Step for Panicking {
        fn run(&mut self, _: &mut dyn Transaction) -> Result<()> {
            panic!("on purpose");
        }

        fn finished(self: Box<Self>, result: Result<()>) {
            self.0.lock().expect("no panic").push(("panicking", result.err().map(|error| error.kind())));
        }

        fn durability(&self) -> Durability {
            Durability::Process
        }
    }

    let results = Results::default();
    let mut group = Group::new(vec![Box::new(Panicking(results.clone()))]);
    let committed = group.run(&mut Counting { writes: 0, fails: false });
    group.finish(committed);
    assert_eq!(*results.lock().expect("no panic"), [("panicking", Some(ErrorKind::Unexpected))]);
}

#[test]
fn a_writer_performs_what_was_sent_before_it_is_dropped() {
    let results = Results::default();
    let perform = |mut group: Group| {
        let committed = group.run(&mut Counting { writes: 0, fails: false });
        group.finish(committed);
    };
    let writer = Writer::start("writer", 2, perform).expect("a thread can be started");
    steps(&results).into_iter().for_each(|step| writer.send(step));
    drop(writer);
    assert_eq!(results.lock().expect("no panic").len(), 3);
}

#[tokio::test]
async fn a_closed_store_reports_that_a_step_was_not_performed() {
    /// A store that drops its steps.
    #[derive(Debug)]
    struct Closed;

    impl KeyValue for Closed {
        fn store_id(&self) -> pynenc_core::component::StoreId {
            pynenc_core::component::StoreId("closed".into())
        }

        fn write(&self, step: Box<dyn Step>) {
            drop(step);
        }

        fn read(&self, step: Box<dyn Step>) {
            drop(step);
        }
    }

    let store = pynenc_kv::KvStore::new(Arc::new(Closed), Arc::new(pynenc_core::clock::ManualClock::default()));
    let error = pynenc_core::Broker::pop(&pynenc_kv::KvBroker::new(store), &pop(1)).await.expect_err("it is closed");
    assert!(error.is_retryable() && error.to_string().contains("closed"), "{error}");
}
