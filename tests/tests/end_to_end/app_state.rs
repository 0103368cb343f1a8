//! Tests of the state of the whole app, which metrics and views show.

use pynenc::core::orchestrator::{Claim, Heartbeat, Introduction};
use pynenc::core::{QueueName, RunnerId};
use pynenc::engine::{AppGauges, AppState};
use pynenc::prelude::*;

use crate::backend::{Backend, Client, on_each_backend};

#[task]
async fn plain() {}

async fn client(backend: Backend) -> Client {
    backend.client(|builder| builder.without_linked_tasks().tasks(tasks![plain])).await
}

/// The ready and the delayed invocations of a queue.
fn hints(state: &AppState, queue: &str) -> Option<(u64, u64)> {
    state.queues[&QueueName::from(queue)].hints.map(|hints| (hints.ready, hints.delayed))
}

async fn the_state_has_the_queues_and_the_runners(backend: Backend) {
    let app = client(backend).await;
    let claimed = app.submit(plain()).await.unwrap().id();
    app.submit(plain()).await.unwrap();
    app.submit(plain().delay(hours(1))).await.unwrap();
    app.submit(plain().delay(hours(1)).queue("gpu")).await.unwrap();
    let runner = RunnerId::new();
    let introduction = Introduction { queues: vec!["mail".into()], tasks: vec![plain::NAME.into()], slots: 4 };
    let (lease, interval, description) = (secs(60), secs(20), "host".into());
    let heartbeat = Heartbeat { runner, lease, interval, description, introduction: Some(introduction) };
    app.parts().orchestrator.heartbeat(&heartbeat).await.unwrap();
    app.parts().broker.remove(&"default".into(), &[claimed]).await.unwrap();
    app.parts().orchestrator.claim(&Claim::new(vec![claimed], runner)).await.unwrap();
    let state = AppGauges::default().state(&app).await.unwrap();
    let waiting: Vec<_> = state.queues.iter().map(|(name, queue)| (name.as_str(), queue.waiting)).collect();
    assert_eq!(waiting, [("default", 2), ("gpu", 1), ("mail", 0)], "a served queue is in the state too");
    assert_eq!((hints(&state, "default"), hints(&state, "gpu")), (Some((1, 1)), Some((0, 1))));
    assert_eq!(state.queues[&QueueName::from("gpu")].oldest_ready, Some(secs(0)));
    assert!(state.queues[&QueueName::from("default")].oldest_ready.is_some());
    assert_eq!((state.slots(), state.alive().map(|it| (it.id, it.owned)).collect()), (4, vec![(runner, 1)]));
    assert_eq!((state.statuses.get(&Status::Pending), state.statuses.get(&Status::Scheduled)), (Some(&1), Some(&2)));
}

async fn the_hints_of_the_longest_queues_are_counted(backend: Backend) {
    let app = client(backend).await;
    for (queue, length) in [("a", 1), ("b", 3), ("c", 2)] {
        for _ in 0..length {
            app.submit(plain().queue(queue)).await.unwrap();
        }
    }
    let state = AppGauges::with_max_queues(2).state(&app).await.unwrap();
    assert_eq!((hints(&state, "a"), hints(&state, "b"), hints(&state, "c")), (None, Some((3, 0)), Some((2, 0))));
    assert_eq!(
        (state.queues[&QueueName::from("a")].waiting, state.queues[&QueueName::from("a")].oldest_ready),
        (1, None)
    );
}

on_each_backend! {
    the_state_has_the_queues_and_the_runners,
    the_hints_of_the_longest_queues_are_counted,
}
