//! Tests of `why`, which explains in one sentence why an invocation isn't running.

use pynenc::core::orchestrator::{Claim, Heartbeat, Introduction, Transition, TransitionReply};
use pynenc::core::status::{By, Change, Due};
use pynenc::core::{Reason, RunnerId};
use pynenc::engine::Why;
use pynenc::prelude::*;
use pynenc::{InvocationId, PynencBuilder};

use crate::backend::{Backend, on_each_backend};

#[task]
async fn plain() {}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn alone() {}

#[task]
async fn fails() -> Result<(), String> {
    Err("no paper".into())
}

fn configured(builder: PynencBuilder) -> PynencBuilder {
    builder.without_linked_tasks().tasks(tasks![plain, alone, fails])
}

/// A runner that the test controls.
struct TestRunner<'a> {
    app: &'a Pynenc,
    id: RunnerId,
}

impl<'a> TestRunner<'a> {
    async fn new(app: &'a Pynenc) -> Self {
        let runner = Self { app, id: RunnerId::new() };
        runner.beat(None).await;
        runner
    }

    async fn beat(&self, introduction: Option<Introduction>) {
        let (lease, interval, description) = (secs(60), secs(20), "runner".into());
        let heartbeat = Heartbeat { runner: self.id, lease, interval, description, introduction };
        self.app.parts().orchestrator.heartbeat(&heartbeat).await.unwrap();
    }

    async fn serves(&self, queue: &str, task: &str) {
        let introduction = Introduction { queues: vec![queue.into()], tasks: vec![task.into()], slots: 4 };
        self.beat(Some(introduction)).await;
    }

    async fn claims(&self, id: InvocationId) {
        self.app.parts().orchestrator.claim(&Claim::new(vec![id], self.id)).await.unwrap();
    }

    async fn moves(&self, id: InvocationId, change: impl Fn(By) -> Change) {
        let record = self.app.status(id).await.unwrap();
        let change = change(By::Owner(self.id));
        let transition = Transition { id, seen: record, change };
        let reply = self.app.parts().orchestrator.transition(&[transition]).await.unwrap().remove(0);
        assert!(matches!(reply, TransitionReply::Done { .. }), "{reply:?}");
    }

    async fn runs(&self, id: InvocationId) {
        self.claims(id).await;
        self.moves(id, |by| Change::new(Status::Running, by, Reason::Started)).await;
    }
}

/// Checks the reason and its sentence.
async fn check(app: &Pynenc, id: InvocationId, is_expected: impl Fn(&Why) -> bool, part: &str) {
    let why = app.why(id).await.unwrap();
    let sentence = why.to_string();
    assert!(is_expected(&why) && sentence.contains(part), "{why:?}: {sentence}");
    assert!(!sentence.contains('\n') && !sentence.ends_with('.'), "{sentence}");
}

async fn why_names_a_missing_runner_or_the_queue_position(backend: Backend) {
    let app = backend.client(configured).await;
    let first = app.submit(plain()).await.unwrap().id();
    let second = app.submit(plain()).await.unwrap().id();
    check(&app, first, |why| *why == Why::NoRunner, "no runner is alive").await;
    let runner = TestRunner::new(&app).await;
    check(&app, first, |why| matches!(why, Why::Queued { .. }), "next in the queue").await;
    runner.serves("other", plain::NAME).await;
    let is_unserved = |why: &Why| matches!(why, Why::QueueNotServed { served, .. } if served[0].as_str() == "other");
    check(&app, first, is_unserved, "no runner serves the queue `default`").await;
    runner.serves("default", alone::NAME).await;
    check(&app, first, |why| matches!(why, Why::TaskNotKnown { runners: 1, .. }), plain::NAME).await;
    runner.serves("default", plain::NAME).await;
    check(&app, first, |why| matches!(why, Why::Queued { before: 0, slots: 4, .. }), "1 runner is serving").await;
    check(&app, second, |why| matches!(why, Why::Queued { before: 1, .. }), "1 invocation is ahead").await;
    app.parts().broker.remove(&"default".into(), &[first]).await.unwrap();
    check(&app, first, |why| matches!(why, Why::NotHinted { .. }), "a sweep").await;
    check(&app, second, |why| matches!(why, Why::Queued { before: 0, .. }), "next").await;
}

async fn why_names_the_due_time(backend: Backend) {
    let app = backend.client(configured).await;
    let later = app.submit(plain().delay(hours(1))).await.unwrap().id();
    check(&app, later, |why| matches!(why, Why::Due { is_retry: false, .. }), "due in").await;
    let again = app.submit(plain()).await.unwrap().id();
    let runner = TestRunner::new(&app).await;
    runner.runs(again).await;
    let retried = |by| Change::new(Status::Retry, by, Reason::Raised).due(Due::In(hours(2)));
    runner.moves(again, retried).await;
    let is_retry = |why: &Why| matches!(why, Why::Due { is_retry: true, remaining, .. } if *remaining > hours(1));
    check(&app, again, is_retry, "an attempt failed").await;
    let suspended = app.submit(plain()).await.unwrap().id();
    runner.runs(suspended).await;
    runner.moves(suspended, |by| Change::new(Status::Scheduled, by, Reason::Suspended)).await;
    check(&app, suspended, |why| *why == Why::Suspended, "is suspended").await;
}

async fn why_names_the_slot_holders(backend: Backend) {
    let app = backend.client(configured).await;
    let runner = TestRunner::new(&app).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.submit(alone()).await.unwrap().id());
        runner.claims(ids[ids.len() - 1]).await;
    }
    for (id, expected) in [(ids[1], 0), (ids[2], 1)] {
        let is_parked = |why: &Why| matches!(why, Why::Parked { holders, before, limit: 1 } if *holders == ids[..1] && *before == expected);
        check(&app, id, is_parked, &ids[0].to_string()).await;
    }
}

async fn why_describes_a_claimed_invocation(backend: Backend) {
    let app = backend.client(configured).await;
    let runner = TestRunner::new(&app).await;
    let (body, child) = (app.submit(plain()).await.unwrap().id(), app.submit(plain()).await.unwrap().id());
    runner.claims(body).await;
    check(&app, body, |why| *why == Why::Claimed { runner: runner.id }, "about to run").await;
    runner.moves(body, |by| Change::new(Status::Running, by, Reason::Started)).await;
    check(&app, body, |why| matches!(why, Why::Running { cancel_requested: false, .. }), "has been running").await;
    let block = pynenc::core::orchestrator::Block {
        waiter: body,
        seen: app.status(body).await.unwrap(),
        runner: runner.id,
        on: vec![child],
    };
    app.parts().orchestrator.block(&block).await.unwrap();
    check(&app, body, |why| *why == Why::Paused { on: vec![child] }, &child.to_string()).await;
    runner.moves(body, |by| Change::new(Status::Running, by, Reason::Resumed)).await;
    assert!(!app.cancel(body).await.unwrap());
    check(&app, body, |why| matches!(why, Why::Running { cancel_requested: true, .. }), "a cancel was requested").await;
    app.parts().orchestrator.heartbeat(&Heartbeat::last(runner.id)).await.unwrap();
    check(&app, body, |why| matches!(why, Why::OwnerLost { is_recoverable: false, .. }), "no other runner is alive")
        .await;
    TestRunner::new(&app).await;
    check(&app, body, |why| matches!(why, Why::OwnerLost { is_recoverable: true, .. }), "takes it over").await;
}

async fn why_names_the_outcome(backend: Backend) {
    let app = backend.app(configured).await;
    let (good, bad) = (app.submit(plain()).await.unwrap(), app.submit(fails()).await.unwrap());
    good.result().await.unwrap();
    bad.result().await.unwrap_err();
    check(&app, good.id(), |why| matches!(why, Why::Finished { status: Status::Success, .. }), "success").await;
    check(&app, bad.id(), |why| matches!(why, Why::Finished { status: Status::Failed, .. }), "no paper").await;
    let unknown = app.why(InvocationId::new()).await.unwrap_err();
    assert!(matches!(unknown, Error::InvocationNotFound(_)), "{unknown}");
}

async fn a_runner_introduces_itself_once(backend: Backend) {
    let app = backend.app(|builder| configured(builder).set("runner.concurrency", 7)).await;
    let introduction = loop {
        let runners = app.parts().orchestrator.runners().await.unwrap();
        match runners.into_iter().find_map(|runner| runner.introduction) {
            Some(introduction) => break introduction,
            None => tokio::task::yield_now().await,
        }
    };
    let tasks: Vec<_> = introduction.tasks.iter().map(pynenc::TaskId::as_str).collect();
    assert_eq!(tasks, [alone::NAME, fails::NAME, plain::NAME]);
    assert_eq!((introduction.queues, introduction.slots), (vec!["default".into()], 7));
}

on_each_backend!(
    why_names_a_missing_runner_or_the_queue_position,
    why_names_the_due_time,
    why_names_the_slot_holders,
    why_describes_a_claimed_invocation,
    why_names_the_outcome,
    a_runner_introduces_itself_once,
);
