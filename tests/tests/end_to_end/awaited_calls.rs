//! Tests of awaited calls. If the caller's own runner runs the child, the caller resumes in the round trip of the
//! child's completion; else a notification resumes it.

use pynenc::Reason;
use pynenc::core::orchestrator::Transition;
use pynenc::core::status::{By, Change};
use pynenc::prelude::*;

use crate::backend::{App, Backend, on_each_backend};

/// Awaits a child that loses its claim. Its status is then changed to `to`.
#[task]
async fn calls_one_that_is_lost(to: Status) -> Result<u32> {
    is_lost(to).await
}

#[task]
async fn is_lost(#[inject] context: TaskContext, to: Status) -> Result<u32> {
    let (id, orchestrator) = (context.invocation_id(), &context.engine().parts().orchestrator);
    let tracked = orchestrator.records(&[id]).await?.remove(0).ok_or(Error::InvocationNotFound(id))?;
    if tracked.record.deliveries == 1 {
        let change = Change::new(to, By::System, Reason::OwnerLost);
        orchestrator.transition(&[Transition { id, seen: tracked.record.clone(), change }]).await?;
    }
    Ok(tracked.record.deliveries)
}

on_each_backend![a_caller_waits_on_when_its_child_is_lost, a_caller_sees_a_child_that_another_runner_finished];

async fn app(backend: Backend) -> App {
    backend.app(|builder| builder.without_linked_tasks().tasks(tasks![calls_one_that_is_lost, is_lost])).await
}

async fn a_caller_waits_on_when_its_child_is_lost(backend: Backend) {
    let app = app(backend).await;
    let parent = app.submit(calls_one_that_is_lost(Status::Rerouted)).await.unwrap();
    assert_eq!(parent.result().await.unwrap(), 2);
    let history = parent.history().await.unwrap();
    let pauses = history.iter().filter(|line| line.status == Status::Paused).count();
    // The runner's settlement of the child is refused. If the caller resumed with it, the caller pauses again. If the
    // second attempt was faster, the caller resumed with that one.
    assert!((1..=2).contains(&pauses), "{pauses}");
}

async fn a_caller_sees_a_child_that_another_runner_finished(backend: Backend) {
    let app = app(backend).await;
    let parent = app.submit(calls_one_that_is_lost(Status::Failed)).await.unwrap();
    let error = parent.result().await.unwrap_err().to_string();
    assert!(error.contains("owner_lost"), "{error}");
    let statuses: Vec<_> = parent.history().await.unwrap().iter().map(|line| line.status).collect();
    assert_eq!(statuses[3..], [Status::Paused, Status::Running, Status::Failed]);
}
