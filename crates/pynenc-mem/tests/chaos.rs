//! What the chaotic broker does to hints, over the broker in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::broker::{Message, Pop};
use pynenc_core::record::Priority;
use pynenc_core::{Broker, InvocationId};
use pynenc_mem::MemBroker;
use pynenc_testkit::{ChaosBroker, ManualClock};

fn broker(seed: u64) -> ChaosBroker {
    ChaosBroker::new(Arc::new(MemBroker::new(Arc::new(ManualClock::default()))), seed)
}

/// How often each of a hundred hints is given out.
async fn given(broker: &ChaosBroker) -> BTreeMap<InvocationId, usize> {
    for number in 0..100 {
        let (invocation, queue) = (InvocationId::from_bytes([number; 16]), "default".into());
        let message = Message { invocation, queue, priority: Priority::default(), not_before: None };
        broker.push(&[message]).await.expect("push");
    }
    let mut given = BTreeMap::new();
    loop {
        let pop = Pop { queues: vec!["default".into()], max: 7, wait: Duration::ZERO };
        let ids = broker.pop(&pop).await.expect("pop");
        if ids.is_empty() {
            return given;
        }
        ids.into_iter().for_each(|id| *given.entry(id).or_default() += 1);
    }
}

#[tokio::test]
async fn some_hints_are_lost_and_some_repeated_the_same_ones_for_a_seed() {
    let first = given(&broker(7)).await;
    assert!(first.len() < 100, "some are lost");
    assert!(first.values().any(|times| *times > 1), "some are repeated");
    assert_eq!(given(&broker(7)).await, first);
    assert_ne!(given(&broker(8)).await, first);
}

#[tokio::test]
async fn a_calm_broker_gives_each_hint_once() {
    let broker = broker(7);
    broker.calm();
    let given = given(&broker).await;
    assert!(given.len() == 100 && given.values().all(|times| *times == 1));
}
