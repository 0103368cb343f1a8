//! A hint that a runner takes while it has the invocation itself is put back: nothing waits for the sweep.

use std::time::Duration;

use pynenc::core::broker::{Message, Pop, QueueLen};
use pynenc::core::record::Priority;
use pynenc::core::{Broker, Components, InvocationId, Plugin, QueueName, async_trait};
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc_mem::MemBroker;
use tokio::time::Instant;

/// A broker that answers a push only when a runner has taken the hint, if one looks for any.
#[derive(Debug)]
struct TakenFirst(MemBroker);

#[async_trait]
impl Broker for TakenFirst {
    async fn push(&self, messages: &[Message]) -> pynenc::core::Result<()> {
        self.0.push(messages).await?;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn pop(&self, pop: &Pop) -> pynenc::core::Result<Vec<InvocationId>> {
        self.0.pop(pop).await
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> pynenc::core::Result<()> {
        self.0.remove(queue, ids).await
    }

    async fn len(&self, queue: &QueueName) -> pynenc::core::Result<QueueLen> {
        self.0.len(queue).await
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> pynenc::core::Result<Option<u64>> {
        self.0.place(queue, id).await
    }

    async fn purge(&self) -> pynenc::core::Result<()> {
        self.0.purge().await
    }
}

#[derive(Debug)]
struct TakenFirstPlugin;

impl Plugin for TakenFirstPlugin {
    fn register(&self, components: &mut Components) {
        components.broker("taken_first::TakenFirst", |cx| async move { Ok(TakenFirst(MemBroker::new(cx.clock))) });
    }
}

#[task]
async fn called() -> u32 {
    7
}

#[task]
async fn calls() -> Result<u32> {
    called().await
}

#[task(max_retries = 2, backoff = none)]
async fn fails_at_first(#[inject] context: TaskContext) -> Result<u32> {
    if context.attempt_number() < 3 { Err(Error::other("not yet")) } else { Ok(context.attempt_number()) }
}

/// Fails when its runner has taken another hint for it.
#[task(max_retries = 1, backoff = constant("300ms"))]
async fn is_hinted_and_fails(#[inject] context: TaskContext) -> Result<u32> {
    if context.attempt_number() == 2 {
        return Ok(2);
    }
    let (invocation, queue) = (context.invocation_id(), "default".into());
    let hint = Message { invocation, queue, priority: Priority::default(), not_before: None };
    context.engine().parts().broker.push(&[hint]).await?;
    Err(Error::other("not yet"))
}

async fn app() -> TestApp {
    let tasks = tasks![called, calls, fails_at_first, is_hinted_and_fails];
    TestApp::with(|builder| {
        let builder = builder.plugin(TakenFirstPlugin).set("broker_cls", "taken_first::TakenFirst");
        builder.without_linked_tasks().tasks(tasks)
    })
    .await
    .unwrap()
}

/// What a call gives, if that takes less time than to the next sweep.
async fn at_once<T: Task>(call: Call<T>) -> T::Output {
    let app = app().await;
    let start = Instant::now();
    let value = app.submit(call).await.unwrap().result().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "it waited for the sweep: {:?}", start.elapsed());
    value
}

#[tokio::test]
async fn the_hint_of_a_call_that_its_caller_is_still_making() {
    assert_eq!(at_once(calls()).await, 7);
}

#[tokio::test]
async fn the_hint_of_a_retry_that_is_still_being_settled() {
    assert_eq!(at_once(fails_at_first()).await, 3);
}

#[tokio::test]
async fn a_hint_that_was_taken_meanwhile_is_not_for_earlier_than_the_retry() {
    assert_eq!(at_once(is_hinted_and_fails()).await, 2);
}
