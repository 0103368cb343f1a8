//! Why an invocation isn't running: each reason, in one sentence.

use pynenc::core::orchestrator::{Claim, Heartbeat, Introduction, Transition, TransitionReply};
use pynenc::core::status::{By, Change, Due, Expect};
use pynenc::core::{Reason, RunnerId};
use pynenc::engine::Why;
use pynenc::prelude::*;
use pynenc::{InvocationId, PynencBuilder};

use crate::place::{Place, on_both};

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

/// A runner in the hands of a test.
struct Puppet<'a> {
    app: &'a Pynenc,
    id: RunnerId,
}

impl<'a> Puppet<'a> {
    async fn new(app: &'a Pynenc) -> Self {
        let id = RunnerId::new();
        let description = "puppet".into();
        let heartbeat = Heartbeat { runner: id, lease: secs(60), interval: secs(20), description };
        app.parts().orchestrator.heartbeat(&heartbeat).await.unwrap();
        Self { app, id }
    }

    async fn serves(&self, queue: &str, task: &str) {
        let introduction = Introduction { queues: vec![queue.into()], tasks: vec![task.into()], slots: 4 };
        self.app.parts().orchestrator.introduce(self.id, &introduction).await.unwrap();
    }

    async fn claims(&self, id: InvocationId) {
        self.app.parts().orchestrator.claim(&Claim::new(vec![id], self.id)).await.unwrap();
    }

    async fn moves(&self, id: InvocationId, change: impl Fn(By) -> Change) {
        let record = self.app.status(id).await.unwrap();
        let change = change(By::Owner(self.id));
        let transition = Transition { id, expect: Expect::from(&record), change };
        let reply = self.app.parts().orchestrator.transition(&[transition]).await.unwrap().remove(0);
        assert!(matches!(reply, TransitionReply::Done { .. }), "{reply:?}");
    }

    async fn runs(&self, id: InvocationId) {
        self.claims(id).await;
        self.moves(id, |by| Change::new(Status::Running, by, Reason::Started)).await;
    }
}

/// Checks the reason, and that it is told in one sentence with this in it.
async fn check(app: &Pynenc, id: InvocationId, is_it: impl Fn(&Why) -> bool, part: &str) {
    let why = app.why(id).await.unwrap();
    let sentence = why.to_string();
    assert!(is_it(&why) && sentence.contains(part), "{why:?}: {sentence}");
    assert!(!sentence.contains('\n') && !sentence.ends_with('.'), "{sentence}");
}

async fn what_is_ready_waits_for_a_runner_that_serves_it(place: Place) {
    let app = place.client(configured).await;
    let first = app.submit(plain()).await.unwrap().id();
    let second = app.submit(plain()).await.unwrap().id();
    check(&app, first, |why| *why == Why::NoRunner, "no runner is alive").await;
    let puppet = Puppet::new(&app).await;
    check(&app, first, |why| matches!(why, Why::Queued { .. }), "next in the queue").await;
    puppet.serves("other", plain::NAME).await;
    let is_unserved = |why: &Why| matches!(why, Why::QueueNotServed { served, .. } if served[0].as_str() == "other");
    check(&app, first, is_unserved, "no runner serves its queue `default`").await;
    puppet.serves("default", alone::NAME).await;
    check(&app, first, |why| matches!(why, Why::TaskNotKnown { runners: 1, .. }), plain::NAME).await;
    puppet.serves("default", plain::NAME).await;
    check(&app, first, |why| matches!(why, Why::Queued { before: 0, slots: 4, .. }), "1 runner is serving").await;
    check(&app, second, |why| matches!(why, Why::Queued { before: 1, .. }), "1 other is before it").await;
    app.parts().broker.remove(&"default".into(), &[first]).await.unwrap();
    check(&app, first, |why| matches!(why, Why::NotHinted { .. }), "a sweep").await;
    check(&app, second, |why| matches!(why, Why::Queued { before: 0, .. }), "next").await;
}

async fn what_is_not_due_tells_when_it_is(place: Place) {
    let app = place.client(configured).await;
    let later = app.submit(plain().delay(hours(1))).await.unwrap().id();
    check(&app, later, |why| matches!(why, Why::Due { is_retry: false, .. }), "due in").await;
    let again = app.submit(plain()).await.unwrap().id();
    let puppet = Puppet::new(&app).await;
    puppet.runs(again).await;
    let retried = |by| Change::new(Status::Retry, by, Reason::Raised).due(Due::In(hours(2)));
    puppet.moves(again, retried).await;
    let is_retry = |why: &Why| matches!(why, Why::Due { is_retry: true, remaining, .. } if *remaining > hours(1));
    check(&app, again, is_retry, "an attempt failed").await;
    let asleep = app.submit(plain()).await.unwrap().id();
    puppet.runs(asleep).await;
    puppet.moves(asleep, |by| Change::new(Status::Scheduled, by, Reason::PutAside)).await;
    check(&app, asleep, |why| *why == Why::PutAside, "put it aside").await;
}

async fn what_is_parked_names_those_who_have_its_slots(place: Place) {
    let app = place.client(configured).await;
    let puppet = Puppet::new(&app).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(app.submit(alone()).await.unwrap().id());
        puppet.claims(ids[ids.len() - 1]).await;
    }
    for (id, expected) in [(ids[1], 0), (ids[2], 1)] {
        let is_parked = |why: &Why| matches!(why, Why::Parked { holders, before, limit: 1 } if *holders == ids[..1] && *before == expected);
        check(&app, id, is_parked, &ids[0].to_string()).await;
    }
}

async fn what_a_runner_has_tells_what_it_does(place: Place) {
    let app = place.client(configured).await;
    let puppet = Puppet::new(&app).await;
    let (body, child) = (app.submit(plain()).await.unwrap().id(), app.submit(plain()).await.unwrap().id());
    puppet.claims(body).await;
    check(&app, body, |why| *why == Why::Claimed { runner: puppet.id }, "about to run").await;
    puppet.moves(body, |by| Change::new(Status::Running, by, Reason::Started)).await;
    check(&app, body, |why| matches!(why, Why::Running { cancel_requested: false, .. }), "has been running").await;
    let block = pynenc::core::orchestrator::Block {
        waiter: body,
        expect: Expect::from(&app.status(body).await.unwrap()),
        runner: puppet.id,
        on: vec![child],
    };
    app.parts().orchestrator.block(&block).await.unwrap();
    check(&app, body, |why| *why == Why::Paused { on: vec![child] }, &child.to_string()).await;
    puppet.moves(body, |by| Change::new(Status::Running, by, Reason::Resumed)).await;
    assert!(!app.cancel(body).await.unwrap());
    check(&app, body, |why| matches!(why, Why::Running { cancel_requested: true, .. }), "its end was asked for").await;
    app.parts().orchestrator.leave(puppet.id).await.unwrap();
    check(&app, body, |why| matches!(why, Why::OwnerLost { is_recoverable: false, .. }), "no other is alive").await;
    Puppet::new(&app).await;
    check(&app, body, |why| matches!(why, Why::OwnerLost { is_recoverable: true, .. }), "takes it over").await;
}

async fn what_has_ended_tells_how(place: Place) {
    let app = place.app(configured).await;
    let (good, bad) = (app.submit(plain()).await.unwrap(), app.submit(fails()).await.unwrap());
    good.result().await.unwrap();
    bad.result().await.unwrap_err();
    check(&app, good.id(), |why| matches!(why, Why::Finished { status: Status::Success, .. }), "success").await;
    check(&app, bad.id(), |why| matches!(why, Why::Finished { status: Status::Failed, .. }), "no paper").await;
    let unknown = app.why(InvocationId::new()).await.unwrap_err();
    assert!(matches!(unknown, Error::InvocationNotFound(_)), "{unknown}");
}

async fn a_runner_says_once_what_it_serves(place: Place) {
    let app = place.app(|builder| configured(builder).set("runner.concurrency", 7)).await;
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

on_both!(
    what_is_ready_waits_for_a_runner_that_serves_it,
    what_is_not_due_tells_when_it_is,
    what_is_parked_names_those_who_have_its_slots,
    what_a_runner_has_tells_what_it_does,
    what_has_ended_tells_how,
    a_runner_says_once_what_it_serves,
);
