//! Trials of [`Broker`].

use std::collections::BTreeSet;
use std::time::Duration;

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::record::Priority;
use pynenc_core::{Broker, InvocationId, QueueName, Timestamp};

use super::sample::{HOUR, SECOND, queue};
use super::{Harness, suite, trials};

type Given = Harness<dyn Broker>;

suite!($ Broker, broker, broker_conformance);

trials! { pub Given:
    "a pushed hint is popped" => pushed_is_popped,
    "pushing a queued hint again keeps one entry, with the earlier time and the higher priority of the two" => one_entry_is_kept,
    "a delayed hint isn't delivered before its time" => delayed_is_not_early,
    "hints of higher priority come first, and hints of equal priority come in the order of their pushes" => priorities_come_first,
    "queues are emptied in the order of the request, and other queues aren't touched" => queues_are_emptied_in_order,
    "a pop takes at most `max` hints and doesn't wait for more than the queues have" => pop_is_bounded,
    "a pop on empty queues returns when a hint is pushed, without polling" => push_ends_a_pop,
    "a pop returns when a delayed hint becomes due" => due_hint_ends_a_pop,
    "a pop returns empty when its wait is over" => timeout_ends_a_pop,
    "two pops never take the same entry" => entries_are_taken_once,
    "a removed hint isn't popped, whether ready or delayed, and removing an absent hint is no error" => removed_is_gone,
    "ready and delayed hints are counted separately, each invocation once" => hints_are_counted,
    "the position of a ready hint is the number of hints delivered before it" => positions_are_counted,
    "a hint that is delayed or absent has no position" => absent_hints_have_no_position,
    "after a purge every queue is empty" => purged_is_empty,
}

fn message() -> Message {
    Message { invocation: InvocationId::new(), queue: queue(), priority: Priority::default(), not_before: None }
}

fn prioritized(level: u8) -> Message {
    Message { priority: Priority::new(level), ..message() }
}

fn later(not_before: Timestamp) -> Message {
    Message { not_before: Some(not_before), ..message() }
}

fn ids(messages: &[Message]) -> Vec<InvocationId> {
    messages.iter().map(|message| message.invocation).collect()
}

impl Given {
    async fn pushed(&self, messages: &[Message]) {
        self.push(messages).await.expect("push");
    }

    async fn popped(&self, queues: &[QueueName], max: usize, wait: Duration) -> Vec<InvocationId> {
        self.pop(&Pop { queues: queues.to_vec(), max, wait }).await.expect("pop")
    }

    async fn at_once(&self) -> Vec<InvocationId> {
        self.popped(&[queue()], 1000, Duration::ZERO).await
    }

    async fn counted(&self) -> (u64, u64) {
        let QueueState { ready, delayed, position } = self.queue(&queue(), None).await.expect("queue");
        assert_eq!(position, None, "nobody asked for a position");
        (ready, delayed)
    }

    async fn position(&self, message: &Message) -> Option<u64> {
        self.queue(&message.queue, Some(message.invocation)).await.expect("queue").position
    }

    fn popping(&self, max: usize) -> tokio::task::JoinHandle<Vec<InvocationId>> {
        let broker = self.clone();
        tokio::spawn(async move { broker.popped(&[queue()], max, HOUR).await })
    }
}

/// Lets spawned tasks reach their wait. The trials also pass if a task doesn't.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn pushed_is_popped(broker: Given) {
    let messages = [message(), message(), message()];
    broker.pushed(&messages).await;
    assert_eq!(broker.at_once().await, ids(&messages));
    assert_eq!(broker.at_once().await, []);
}

async fn one_entry_is_kept(broker: Given) {
    let now = broker.now().await;
    let (first, other) = (Message { priority: Priority::new(1), ..later(now + HOUR) }, prioritized(5));
    let sooner = Message { not_before: Some(now + SECOND), ..first.clone() };
    let higher = Message { priority: Priority::new(7), ..first.clone() };
    broker.pushed(&[first.clone(), other.clone(), sooner, higher]).await;
    assert_eq!(broker.counted().await, (1, 1));
    broker.advance(SECOND).await;
    assert_eq!(broker.at_once().await, [first.invocation, other.invocation], "the earlier time, the higher priority");
    let ready = Message { not_before: None, ..first.clone() };
    broker.pushed(&[ready, first.clone()]).await;
    assert_eq!(broker.at_once().await, [first.invocation], "no time is earlier than any time");
}

async fn delayed_is_not_early(broker: Given) {
    let message = later(broker.now().await + SECOND * 10);
    broker.pushed(std::slice::from_ref(&message)).await;
    assert_eq!(broker.at_once().await, []);
    broker.advance(SECOND * 9).await;
    assert_eq!(broker.at_once().await, []);
    broker.advance(SECOND).await;
    assert_eq!(broker.at_once().await, [message.invocation]);
}

async fn priorities_come_first(broker: Given) {
    let [low, high, second, raised] = [prioritized(0), prioritized(9), prioritized(9), message()];
    let raised = Message { priority: Priority::new(0).raised(1), ..raised };
    broker.pushed(&[low.clone(), high.clone()]).await;
    broker.pushed(&[second.clone(), raised.clone()]).await;
    assert_eq!(broker.at_once().await, ids(&[raised, high, second, low]));
}

async fn queues_are_emptied_in_order(broker: Given) {
    let names: [QueueName; 3] = ["first".into(), "second".into(), "third".into()];
    let [third, second, first] = [2, 1, 0].map(|index: usize| Message { queue: names[index].clone(), ..message() });
    let second = Message { priority: Priority::new(9), ..second };
    broker.pushed(&[third.clone(), second.clone(), first.clone()]).await;
    assert_eq!(broker.popped(&names[..2], 10, Duration::ZERO).await, ids(&[first, second]));
    assert_eq!(broker.popped(&names[..2], 10, Duration::ZERO).await, []);
    assert_eq!(broker.popped(&names[2..], 10, Duration::ZERO).await, ids(&[third]));
}

async fn pop_is_bounded(broker: Given) {
    let messages = [message(), message(), message()];
    broker.pushed(&messages).await;
    assert_eq!(broker.popped(&[queue()], 2, HOUR).await, ids(&messages[..2]));
    assert_eq!(broker.popped(&[queue()], 2, HOUR).await, ids(&messages[2..]));
}

async fn push_ends_a_pop(broker: Given) {
    let pops: Vec<_> = (0..8).map(|_| broker.popping(1)).collect();
    settle().await;
    let messages: Vec<_> = (0..8).map(|_| message()).collect();
    for pair in messages.chunks(2) {
        broker.pushed(pair).await;
    }
    let mut popped = BTreeSet::new();
    for pop in pops {
        popped.extend(pop.await.expect("a pop doesn't panic"));
    }
    assert_eq!(popped, ids(&messages).into_iter().collect());
}

async fn due_hint_ends_a_pop(broker: Given) {
    let now = broker.now().await;
    let (late, soon) = (later(now + SECOND * 20), later(now + SECOND));
    broker.pushed(std::slice::from_ref(&late)).await;
    let pop = broker.popping(10);
    settle().await;
    broker.pushed(std::slice::from_ref(&soon)).await;
    assert_eq!(broker.until(pop).await.expect("a pop doesn't panic"), [soon.invocation]);
    assert!(broker.now().await >= now + SECOND);
    assert_eq!(broker.until(broker.popping(10)).await.expect("a pop doesn't panic"), [late.invocation]);
    assert!(broker.now().await >= now + SECOND * 20);
}

async fn timeout_ends_a_pop(broker: Given) {
    broker.pushed(&[later(broker.now().await + HOUR)]).await;
    assert_eq!(broker.until(broker.popped(&[queue()], 1, SECOND)).await, []);
}

async fn entries_are_taken_once(broker: Given) {
    let messages: Vec<_> = (0..200).map(|_| message()).collect();
    broker.pushed(&messages).await;
    let pops: Vec<_> = (0..40).map(|_| broker.popping(5)).collect();
    let mut popped = Vec::new();
    for pop in pops {
        popped.extend(pop.await.expect("a pop doesn't panic"));
    }
    popped.sort_unstable();
    assert_eq!(popped, ids(&messages));
}

async fn removed_is_gone(broker: Given) {
    let (ready, delayed, stays) = (message(), later(broker.now().await + SECOND), message());
    broker.pushed(&[ready.clone(), delayed.clone(), stays.clone()]).await;
    let gone = [ready.invocation, delayed.invocation, InvocationId::new()];
    broker.remove(&queue(), &gone).await.expect("remove");
    broker.remove(&"unknown".into(), &gone).await.expect("remove from an unknown queue");
    broker.advance(SECOND).await;
    assert_eq!(broker.at_once().await, [stays.invocation]);
}

async fn hints_are_counted(broker: Given) {
    assert_eq!(broker.counted().await, (0, 0));
    let (ready, delayed) = (message(), later(broker.now().await + SECOND));
    broker.pushed(&[ready.clone(), ready.clone(), delayed.clone(), delayed.clone()]).await;
    assert_eq!(broker.counted().await, (1, 1));
    broker.advance(SECOND).await;
    assert_eq!(broker.counted().await, (2, 0), "a due hint is ready");
}

async fn positions_are_counted(broker: Given) {
    let due = later(broker.now().await + SECOND);
    let [low, first, second] = [prioritized(0), prioritized(9), prioritized(9)];
    broker.pushed(&[low.clone(), first.clone(), due.clone(), second.clone()]).await;
    let position = async |message: &Message| broker.position(message).await;
    assert_eq!([position(&low).await, position(&first).await, position(&second).await], [Some(2), Some(0), Some(1)]);
    broker.advance(SECOND).await;
    assert_eq!([position(&due).await, position(&low).await], [Some(2), Some(3)]);
    broker.popped(&[queue()], 1, Duration::ZERO).await;
    assert_eq!(position(&second).await, Some(0));
    let state = broker.queue(&queue(), Some(low.invocation)).await.expect("queue");
    assert_eq!(state, QueueState { ready: 3, delayed: 0, position: Some(2) });
}

async fn absent_hints_have_no_position(broker: Given) {
    let (ready, delayed) = (message(), later(broker.now().await + SECOND));
    broker.pushed(&[ready.clone(), delayed.clone()]).await;
    let elsewhere = Message { queue: "elsewhere".into(), ..ready.clone() };
    for absent in [delayed, message(), elsewhere] {
        assert_eq!(broker.position(&absent).await, None);
    }
    broker.popped(&[queue()], 1, Duration::ZERO).await;
    assert_eq!(broker.position(&ready).await, None, "a popped hint is absent");
}

async fn purged_is_empty(broker: Given) {
    broker.pushed(&[message(), later(broker.now().await + SECOND)]).await;
    broker.purge().await.expect("purge");
    broker.advance(SECOND).await;
    assert_eq!(broker.counted().await, (0, 0));
    assert_eq!(broker.at_once().await, []);
}
