//! Conformance tests of the broker, and tests of its files.

use std::sync::Arc;
use std::time::Duration;

use file_broker::FileBroker;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::clock::ManualClock;
use pynenc_core::record::Priority;
use pynenc_core::{Broker, Clock, InvocationId, Result, Timestamp};
use tempfile::TempDir;

// ANCHOR: conformance
pynenc_testkit::broker_conformance!(async |clock| {
    FileBroker::open(&directory().keep(), clock).expect("an empty directory can be opened")
});
// ANCHOR_END: conformance

fn directory() -> TempDir {
    TempDir::with_prefix("file-broker-").expect("a temporary directory can be made")
}

fn message(priority: u8, not_before: Option<Timestamp>) -> Message {
    let (invocation, queue) = (InvocationId::new(), "a queue/with: odd letters".into());
    Message { invocation, queue, priority: Priority::new(priority), not_before }
}

#[tokio::test]
async fn queued_messages_survive_a_restart() -> Result<()> {
    let (directory, clock) = (directory(), ManualClock::default());
    let open = || FileBroker::open(directory.path(), Arc::new(clock.clone()));
    let [first, second, high] = [message(5, None), message(5, None), message(9, None)];
    let later = message(5, Some(clock.now() + Duration::from_secs(60)));
    open()?.push(&[first.clone(), later.clone(), second.clone(), high.clone()]).await?;

    let broker = open()?;
    let state = broker.queue(&first.queue, Some(second.invocation)).await?;
    assert_eq!(state, QueueState { ready: 3, delayed: 1, position: Some(2) });
    let pop = Pop { queues: vec![first.queue.clone()], max: 10, wait: Duration::ZERO };
    assert_eq!(broker.pop(&pop).await?, [high.invocation, first.invocation, second.invocation]);

    let broker = open()?;
    assert_eq!(broker.pop(&pop).await?, [], "popped messages are gone, and a message that is due later isn't popped");
    clock.advance(Duration::from_secs(60));
    assert_eq!(broker.pop(&pop).await?, [later.invocation]);
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_dropped() -> Result<()> {
    let (directory, clock) = (directory(), ManualClock::default());
    let open = || FileBroker::open(directory.path(), Arc::new(clock.clone()));
    let message = message(5, None);
    open()?.push(std::slice::from_ref(&message)).await?;
    let cut = directory.path().join("00000000000000000002.hint");
    std::fs::write(&cut, br#"{"sequence": 2, "mess"#).expect("the directory can be written to");
    assert_eq!(open()?.queue(&message.queue, None).await?, QueueState { ready: 1, delayed: 0, position: None });
    assert!(!cut.exists());
    Ok(())
}
