//! A caller goes on in the trip in which what it called ends, if its own runner runs that; else by the news.

use pynenc::Reason;
use pynenc::core::orchestrator::Transition;
use pynenc::core::status::{By, Change, Expect};
use pynenc::prelude::*;

use crate::place::{App, Place, on_both};

/// Calls a task whose claim is taken from it by somebody who makes this of it.
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
        orchestrator.transition(&[Transition { id, expect: Expect::from(&tracked.record), change }]).await?;
    }
    Ok(tracked.record.deliveries)
}

on_both![a_call_that_is_lost_is_waited_for_on, a_call_that_others_end_has_ended];

async fn app(place: Place) -> App {
    place.app(|builder| builder.without_linked_tasks().tasks(tasks![calls_one_that_is_lost, is_lost])).await
}

async fn a_call_that_is_lost_is_waited_for_on(place: Place) {
    let app = app(place).await;
    let parent = app.submit(calls_one_that_is_lost(Status::Rerouted)).await.unwrap();
    assert_eq!(parent.result().await.unwrap(), 2);
    let history = parent.history().await.unwrap();
    let pauses = history.iter().filter(|line| line.status == Status::Paused).count();
    let expected = match place {
        // A runner claims by itself there, and the caller waits for news alone.
        Place::Memory => 1,
        // Its runner has settled in vain, and the caller, which went on with that, waited again.
        Place::Redis => 2,
    };
    assert_eq!(pauses, expected);
}

async fn a_call_that_others_end_has_ended(place: Place) {
    let app = app(place).await;
    let parent = app.submit(calls_one_that_is_lost(Status::Failed)).await.unwrap();
    let error = parent.result().await.unwrap_err().to_string();
    assert!(error.contains("owner_lost"), "{error}");
    let statuses: Vec<_> = parent.history().await.unwrap().iter().map(|line| line.status).collect();
    assert_eq!(statuses[3..], [Status::Paused, Status::Running, Status::Failed]);
}
