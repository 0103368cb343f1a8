//! The trials of [`Broker`].

use std::collections::BTreeSet;
use std::time::Duration;

use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::record::Priority;
use pynenc_core::{Broker, InvocationId, QueueName, Timestamp};

use super::sample::{HOUR, SECOND, queue};
use super::{Harness, suite, trials};

type Given = Harness<dyn Broker>;

suite!($ Broker, broker, broker_conformance);

trials! { pub Given:
    "what is pushed is popped" => pushed_is_popped,
    "pushing what is queued keeps one entry, at the earlier time and the higher priority of the two" => one_entry_is_kept,
    "a message with a later time isn't given out before it" => later_is_not_given_early,
    "higher priorities come first, equal ones in the order of their pushing" => priorities_come_first,
    "queues are emptied in the order they are named, and others are left alone" => queues_are_emptied_in_order,
    "a pop gives at most `max` and doesn't wait for more than it has" => pop_is_bounded,
    "a pop on empty queues ends when something is pushed, without polling" => push_ends_a_pop,
    "a pop ends when something becomes due" => due_ends_a_pop,
    "a pop ends empty when its wait is over" => wait_ends_a_pop,
    "two pops never give the same entry" => entries_are_given_once,
    "what is removed isn't popped, whether ready or delayed, and removing what isn't there is no error" => removed_is_gone,
    "ready and delayed entries are counted apart, each invocation once" => entries_are_counted,
    "what is ready has those before it that are given out first, and what is delayed or isn't there has no place" => places_are_told,
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

    async fn counted(&self) -> QueueLen {
        self.len(&queue()).await.expect("len")
    }

    fn popping(&self, max: usize) -> tokio::task::JoinHandle<Vec<InvocationId>> {
        let broker = self.clone();
        tokio::spawn(async move { broker.popped(&[queue()], max, HOUR).await })
    }
}

/// Lets what was spawned come to its wait. Nothing depends on it: trials hold whether it does or not.
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
    assert_eq!(broker.counted().await, QueueLen { ready: 1, delayed: 1 });
    broker.advance(SECOND).await;
    assert_eq!(broker.at_once().await, [first.invocation, other.invocation], "the earlier time, the higher priority");
    let ready = Message { not_before: None, ..first.clone() };
    broker.pushed(&[ready, first.clone()]).await;
    assert_eq!(broker.at_once().await, [first.invocation], "at once is earlier than any time");
}

async fn later_is_not_given_early(broker: Given) {
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
    let [third, second, first] = [2, 1, 0].map(|place: usize| Message { queue: names[place].clone(), ..message() });
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

async fn due_ends_a_pop(broker: Given) {
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

async fn wait_ends_a_pop(broker: Given) {
    broker.pushed(&[later(broker.now().await + HOUR)]).await;
    assert_eq!(broker.until(broker.popped(&[queue()], 1, SECOND)).await, []);
}

async fn entries_are_given_once(broker: Given) {
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

async fn entries_are_counted(broker: Given) {
    assert_eq!(broker.counted().await, QueueLen::default());
    let (ready, delayed) = (message(), later(broker.now().await + SECOND));
    broker.pushed(&[ready.clone(), ready.clone(), delayed.clone(), delayed.clone()]).await;
    assert_eq!(broker.counted().await, QueueLen { ready: 1, delayed: 1 });
    broker.advance(SECOND).await;
    assert_eq!(broker.counted().await, QueueLen { ready: 2, delayed: 0 }, "what is due is ready");
}

async fn places_are_told(broker: Given) {
    let due = later(broker.now().await + SECOND);
    let [low, first, second] = [prioritized(0), prioritized(9), prioritized(9)];
    broker.pushed(&[low.clone(), first.clone(), due.clone(), second.clone()]).await;
    let place = async |message: &Message| broker.place(&message.queue, message.invocation).await.expect("place");
    assert_eq!([place(&low).await, place(&first).await, place(&second).await], [Some(2), Some(0), Some(1)]);
    let elsewhere = Message { queue: "elsewhere".into(), ..first.clone() };
    assert_eq!([place(&due).await, place(&message()).await, place(&elsewhere).await], [None; 3]);
    broker.advance(SECOND).await;
    assert_eq!([place(&due).await, place(&low).await], [Some(2), Some(3)]);
    broker.popped(&[queue()], 1, Duration::ZERO).await;
    assert_eq!([place(&first).await, place(&second).await], [None, Some(0)]);
}

async fn purged_is_empty(broker: Given) {
    broker.pushed(&[message(), later(broker.now().await + SECOND)]).await;
    broker.purge().await.expect("purge");
    broker.advance(SECOND).await;
    assert_eq!(broker.counted().await, QueueLen::default());
    assert_eq!(broker.at_once().await, []);
}
