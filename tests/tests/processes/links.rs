//! Workers whose link to the server is cut, stalled or slow.

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::{Flow, Proxy, Way};
use pynenc_tests::work::{gated, gated_for, noted};

use crate::fleet::{Fleet, ended_once, result_of, times, until};

#[tokio::test]
async fn a_worker_that_is_cut_off_ends_what_must_run_alone_and_comes_back_under_a_new_identity() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    let _cut_off = fleet.worker_behind(&proxy);
    let alone = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let beside = app.submit(gated("b".into())).await.unwrap();
    fleet.ledger().reaches(2, "begin").await;
    proxy.set_both(Flow::Stall);
    let mut other = fleet.worker();
    fleet.ledger().reaches(2, "begin account").await;
    fleet.ledger().reaches(2, "begin b").await;
    fleet.stage.open("a").unwrap();
    fleet.stage.open("b").unwrap();
    result_of(&alone).await.unwrap();
    result_of(&beside).await.unwrap();
    assert_eq!(fleet.ledger().count("end account"), 1, "the one that was cut off had ended by itself");
    let before = app.parts().orchestrator.runners().await.unwrap();
    proxy.set_both(Flow::Pass);
    other.kill9();
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    let runner = ended_once(&later).await.last().unwrap().runner.unwrap();
    assert!(before.iter().all(|known| known.id != runner), "a retired runner has a new identity");
    ended_once(&alone).await;
    ended_once(&beside).await;
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_slow_link_costs_no_lease() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    proxy.set_both(Flow::Delay { by: millis(50), jitter: millis(50) });
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..40).map(|n| noted(n.to_string()))).await.unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 0);
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn links_that_break_again_and_again_lose_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..200).map(|n| noted(n.to_string()))).await.unwrap();
    for (number, flow) in
        [Flow::Trickle, Flow::CutAfter(3000), Flow::Pass, Flow::HalfClose, Flow::CutAfter(900)].into_iter().enumerate()
    {
        proxy.set(Way::ToClient, flow);
        fleet.ledger().reaches(1 + 30 * number.min(1), "end").await;
        proxy.reset();
        tokio::time::sleep(millis(100)).await;
        proxy.set(Way::ToClient, Flow::Pass);
    }
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        ended_once(invocation).await;
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_cuts_every_connection_and_forgets_its_scripts_loses_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _workers = [fleet.worker(), fleet.worker()];
    // One that can't reach its server when it starts ends with an error.
    until("both are there", async || app.parts().orchestrator.runners().await.unwrap().len() == 2).await;
    let mut submitted = Vec::new();
    for round in 0..20 {
        for n in 0..10 {
            let call = || noted(format!("{round}-{n}")).idempotency_key(format!("{round}-{n}"));
            let mut invocation = app.submit(call()).await;
            until("a client goes on too", async || {
                if invocation.is_err() {
                    invocation = app.submit(call()).await;
                }
                invocation.is_ok()
            })
            .await;
            submitted.push(invocation.unwrap());
        }
        fleet.server.kill_clients();
        fleet.server.script_flush();
        fleet.server.function_flush();
    }
    for invocation in &submitted {
        result_of(invocation).await.unwrap();
        ended_once(invocation).await;
    }
    assert_eq!(app.count(Status::Success).await.unwrap(), 200);
    fleet.holds(&app).await;
}
