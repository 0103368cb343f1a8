//! Tests of a runner that pops a hint for an invocation that it still owns. It pushes the hint again, so nothing waits
//! for the sweep.

use std::time::Duration;

use pynenc::core::broker::{Message, Pop, QueueState};
use pynenc::core::record::Priority;
use pynenc::core::{Broker, Component, Components, InvocationId, Plugin, QueueName, async_trait};
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc_mem::MemBroker;
use tokio::time::Instant;

/// A broker whose push returns only after a runner had time to pop the hint.
#[derive(Debug)]
struct PoppedFirst(MemBroker);

#[async_trait]
impl Component for PoppedFirst {
    async fn purge(&self) -> pynenc::core::Result<()> {
        self.0.purge().await
    }
}

#[async_trait]
impl Broker for PoppedFirst {
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

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> pynenc::core::Result<QueueState> {
        self.0.queue(queue, position_of).await
    }
}

#[derive(Debug)]
struct PoppedFirstPlugin;

impl Plugin for PoppedFirstPlugin {
    fn register(&self, components: &mut Components) {
        components.broker("popped_first::PoppedFirst", |cx| async move { Ok(PoppedFirst(MemBroker::new(cx.clock))) });
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

/// Fails after its runner has popped another hint for the same invocation.
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
        let builder = builder.plugin(PoppedFirstPlugin).set("broker_cls", "popped_first::PoppedFirst");
        builder.without_linked_tasks().tasks(tasks)
    })
    .await
    .unwrap()
}

/// Runs a call and checks that it finishes before the next sweep.
async fn at_once<T: Task>(call: Call<T>) -> T::Output {
    let app = app().await;
    let start = Instant::now();
    let value = app.submit(call).await.unwrap().result().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "the call waited for the sweep: {:?}", start.elapsed());
    value
}

#[tokio::test]
async fn a_hint_popped_while_its_call_is_submitted_isnt_lost() {
    assert_eq!(at_once(calls()).await, 7);
}

#[tokio::test]
async fn a_hint_popped_while_its_retry_is_settled_isnt_lost() {
    assert_eq!(at_once(fails_at_first()).await, 3);
}

#[tokio::test]
async fn a_hint_popped_before_a_delayed_retry_isnt_lost() {
    assert_eq!(at_once(is_hinted_and_fails()).await, 2);
}
