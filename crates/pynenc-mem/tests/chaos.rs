//! The chaotic broker over the broker in memory.

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

/// Counts how often each of a hundred hints is delivered.
async fn delivered(broker: &ChaosBroker) -> BTreeMap<InvocationId, usize> {
    for number in 0..100 {
        let (invocation, queue) = (InvocationId::from_bytes([number; 16]), "default".into());
        let message = Message { invocation, queue, priority: Priority::default(), not_before: None };
        broker.push(&[message]).await.expect("push");
    }
    let mut delivered = BTreeMap::new();
    loop {
        let pop = Pop { queues: vec!["default".into()], max: 7, wait: Duration::ZERO };
        let ids = broker.pop(&pop).await.expect("pop");
        if ids.is_empty() {
            return delivered;
        }
        ids.into_iter().for_each(|id| *delivered.entry(id).or_default() += 1);
    }
}

#[tokio::test]
async fn a_seed_decides_which_hints_are_lost_and_repeated() {
    let first = delivered(&broker(7)).await;
    assert!(first.len() < 100, "some are lost");
    assert!(first.values().any(|times| *times > 1), "some are repeated");
    assert_eq!(delivered(&broker(7)).await, first);
    assert_ne!(delivered(&broker(8)).await, first);
}

#[tokio::test]
async fn a_calm_broker_delivers_each_hint_once() {
    let broker = broker(7);
    broker.calm();
    let delivered = delivered(&broker).await;
    assert!(delivered.len() == 100 && delivered.values().all(|times| *times == 1));
}
