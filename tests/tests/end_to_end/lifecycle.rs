//! Tests of stopping runners, unknown tasks, broken records and retention.

use pynenc::core::clock::TokioClock;
use pynenc::core::orchestrator::Heartbeat;
use pynenc::core::state_backend::Listing;
use pynenc::engine::runner::Runner;
use pynenc::engine::stop::stop_pair;
use pynenc::engine::worker::Worker;
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::{Extension, PynencBuilder, Reason, ThreadRunner};
use std::sync::{Arc, Mutex};

#[task]
async fn sleeps(seconds: u64) -> u64 {
    tokio::time::sleep(secs(seconds)).await;
    seconds
}

#[task(running_concurrency = task)]
async fn sleeps_alone() {
    std::future::pending::<()>().await;
}

#[task]
async fn needs_a_number(#[inject] number: State<u32>) -> u32 {
    *number
}

async fn app() -> TestApp {
    app_with("runner.unknown_ttl", "1day").await
}

async fn app_with(key: &str, value: &str) -> TestApp {
    let with = |builder: PynencBuilder| builder.without_linked_tasks().tasks(all_tasks()).state(7u32).set(key, value);
    TestApp::with(with).await.unwrap()
}

/// An app under paused time whose runner the test starts.
async fn without_runner() -> Pynenc {
    let builder = Pynenc::builder().without_config_file().environment([]).memory();
    let builder = builder.clock(TokioClock::new()).runner(ThreadRunner::with_heartbeats_on_runtime());
    builder.without_linked_tasks().tasks(all_tasks()).state(7u32).build().await.unwrap()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![sleeps, sleeps_alone, needs_a_number].into()
}

#[tokio::test(start_paused = true)]
async fn a_stopping_runner_finishes_its_tasks_and_claims_no_more() {
    let app = without_runner().await;
    let runner = app.start_runner().await.unwrap();
    let running = app.submit(sleeps(20)).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    let (stopped, late) = tokio::join!(runner.shutdown(), app.submit(sleeps(1)));
    stopped.unwrap();
    assert_eq!(running.result().await.unwrap(), 20);
    assert_eq!(late.unwrap().status().await.unwrap(), Status::Registered);
}

#[tokio::test(start_paused = true)]
async fn a_task_beyond_the_grace_time_is_given_back_uncharged() {
    let app = without_runner().await;
    let runner = app.start_runner().await.unwrap();
    let running = app.submit(sleeps(3600)).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    let before = tokio::time::Instant::now();
    runner.shutdown().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 25, "the grace time");
    let record = app.engine_status(running.id()).await;
    assert_eq!((record.status, record.reason), (Status::Rerouted, Reason::Shutdown));
    assert_eq!((record.retries, record.losses), (0, 0));

    let second = app.start_runner().await.unwrap();
    assert_eq!(running.result().await.unwrap(), 3600);
    second.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_skips_the_grace_time() {
    let app = without_runner().await;
    let runner = app.start_runner().await.unwrap();
    let running = app.submit(sleeps(3600)).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    let before = tokio::time::Instant::now();
    runner.shutdown_now().await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 0);
    assert_eq!(running.status().await.unwrap(), Status::Rerouted);
}

trait EngineStatus {
    async fn engine_status(&self, id: pynenc::InvocationId) -> pynenc::core::StatusRecord;
}

impl EngineStatus for Pynenc {
    async fn engine_status(&self, id: pynenc::InvocationId) -> pynenc::core::StatusRecord {
        pynenc::Engine::status(self, id).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn the_work_of_a_lost_runner_runs_again_within_twenty_seconds() {
    let app = without_runner().await;
    let lost = app.submit(sleeps(5)).await.unwrap();
    // A runner that claims an invocation and then sends no heartbeats.
    let worker = Arc::new(Worker::new(&app.settings().runner));
    worker.beat(&app).await.unwrap();
    assert_eq!(worker.claim(&app, vec![lost.id()]).await.len(), 1);
    let survivor = app.start_runner().await.unwrap();
    let begun = tokio::time::Instant::now();
    while app.engine_status(lost.id()).await.deliveries < 2 {
        tokio::time::sleep(millis(100)).await;
    }
    assert!(begun.elapsed() <= secs(20), "{:?}", begun.elapsed());
    assert_eq!(lost.result().await.unwrap(), 5);
    let history = lost.history().await.unwrap();
    assert!(history.iter().any(|entry| entry.reason == Reason::OwnerLost && entry.detail.is_some()), "{history:?}");
    survivor.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_loses_three_runners_is_a_poison_pill() {
    let app = without_runner().await;
    let poison = app.submit(sleeps(5)).await.unwrap();
    let survivor = Arc::new(Worker::new(&app.settings().runner));
    for _ in 0..3 {
        let victim = Arc::new(Worker::new(&app.settings().runner));
        victim.beat(&app).await.unwrap();
        assert_eq!(claim_and_start(&app, &victim, poison.id()).await, Status::Running);
        for _ in 0..8 {
            survivor.beat(&app).await.unwrap();
            tokio::time::sleep(secs(3)).await;
            survivor.recover(&app).await.unwrap();
        }
    }
    let error = poison.result().await.unwrap_err();
    assert!(matches!(&error, Error::PoisonPill { detail, .. } if detail.contains("took down 3 runners")), "{error}");
}

/// Claims an invocation as a runner does and runs it for a moment. An invocation with one loss left starts only alone.
async fn claim_and_start(app: &Pynenc, worker: &Arc<Worker>, id: pynenc::InvocationId) -> Status {
    for attempt in worker.claim(app, vec![id]).await {
        let run = worker.clone().run((**app).clone(), attempt);
        let _ = tokio::time::timeout(millis(10), run).await;
    }
    app.engine_status(id).await.status
}

#[tokio::test(start_paused = true)]
async fn a_claim_with_a_lost_reply_is_given_back_uncharged() {
    let app = without_runner().await;
    let invocation = app.submit(sleeps(1)).await.unwrap();
    let worker = Arc::new(Worker::new(&app.settings().runner));
    let claim = pynenc::core::orchestrator::Claim::new(vec![invocation.id()], worker.id()).running_below(1);
    app.parts().orchestrator.claim(&claim).await.unwrap();
    worker.compare_with_store(&app).await.unwrap();
    let record = app.engine_status(invocation.id()).await;
    assert_eq!((record.status, record.reason, record.losses), (Status::Rerouted, Reason::ClaimLost, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retired_runner_gets_a_new_identity_and_stops_its_tasks() {
    let app = without_runner().await;
    let invocation = app.submit(sleeps(3600)).await.unwrap();
    let worker = Arc::new(Worker::new(&app.settings().runner));
    worker.beat(&app).await.unwrap();
    let retired = worker.id();
    let run = start(&app, &worker, invocation.id()).await;
    app.parts().orchestrator.heartbeat(&Heartbeat::last(retired)).await.unwrap();
    worker.beat(&app).await.unwrap();
    run.await.unwrap();
    assert_eq!(worker.held(), 0, "the runner stopped the task and settled nothing");
    assert_eq!(app.engine_status(invocation.id()).await.status, Status::Running, "until it is recovered");
    let alive = app.parts().orchestrator.runners().await.unwrap();
    assert!(
        alive.iter().any(|runner| runner.id == worker.id() && !runner.retired && worker.id() != retired),
        "{alive:?}"
    );
}

/// Claims an invocation and starts its task function in the background.
async fn start(app: &Pynenc, worker: &Arc<Worker>, id: pynenc::InvocationId) -> tokio::task::JoinHandle<()> {
    let attempt = worker.claim(app, vec![id]).await.pop().unwrap();
    let run = tokio::spawn(worker.clone().run((**app).clone(), attempt));
    tokio::time::sleep(millis(1)).await;
    run
}

#[tokio::test(start_paused = true)]
async fn a_fenced_runner_stops_limited_tasks_and_claims_nothing_until_its_heartbeat_succeeds() {
    let app = without_runner().await;
    let [alone, other] = [app.submit(sleeps_alone()).await.unwrap().id(), app.submit(sleeps(5)).await.unwrap().id()];
    let worker = Arc::new(Worker::new(&app.settings().runner));
    worker.beat(&app).await.unwrap();
    let alone_run = start(&app, &worker, alone).await;
    let other_run = start(&app, &worker, other).await;
    worker.fence(&app);
    alone_run.await.unwrap();
    assert!(tokio::time::timeout(secs(60), worker.unfenced()).await.is_err());
    other_run.await.unwrap();
    assert_eq!(app.engine_status(other).await.status, Status::Success);
    worker.beat(&app).await.unwrap();
    worker.unfenced().await;
    worker.compare_with_store(&app).await.unwrap();
    let record = app.engine_status(alone).await;
    assert_eq!((record.status, record.losses), (Status::Rerouted, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_cancelled_before_its_slot_is_free_never_starts() {
    let app = without_runner().await;
    let [first, second] = [app.submit(sleeps(5)).await.unwrap().id(), app.submit(sleeps(5)).await.unwrap().id()];
    let settings = pynenc::config::RunnerConfig { concurrency: 1, ..app.settings().runner.clone() };
    let worker = Arc::new(Worker::new(&settings));
    worker.beat(&app).await.unwrap();
    let runs = [start(&app, &worker, first).await, start(&app, &worker, second).await];
    assert!(!app.cancel(second).await.unwrap());
    worker.beat(&app).await.unwrap();
    let begun = tokio::time::Instant::now();
    for run in runs {
        run.await.unwrap();
    }
    assert_eq!(app.engine_status(second).await.status, Status::Cancelled);
    assert!(begun.elapsed() < secs(6), "the second task never starts");
}

#[tokio::test(start_paused = true)]
async fn the_sweep_pushes_a_lost_hint_again() {
    let app = without_runner().await;
    let invocation = app.submit(sleeps(1)).await.unwrap();
    app.parts().broker.purge().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), 1);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_missing_record_fails_only_its_own_invocation() {
    let app = app().await;
    let broken = app.submit(sleeps(1).delay(secs(5))).await.unwrap();
    app.parts().state.forget(&[broken.id()]).await.unwrap();
    let whole = app.submit(sleeps(1)).await.unwrap();
    assert!(matches!(broken.result().await, Err(Error::CorruptRecord { .. })));
    assert_eq!(whole.result().await.unwrap(), 1);
}

#[tokio::test]
async fn unreadable_arguments_fail_only_their_own_invocation() {
    use pynenc::core::record::{Argument, InvocationRecord, Payload};
    let app = app().await;
    let broken = app.submit(sleeps(1).delay(secs(5))).await.unwrap();
    let state = &app.parts().state;
    let record = state.invocations(&[broken.id()]).await.unwrap().pop().flatten().unwrap();
    state.forget(&[broken.id()]).await.unwrap();
    let value = Payload::Inline(vec![0xff, 0, b'{'].into());
    let arguments = vec![Argument { name: "seconds".into(), value }];
    state.put_invocations(&[Arc::new(InvocationRecord { arguments, ..(*record).clone() })]).await.unwrap();
    let error = broken.result().await.unwrap_err();
    assert!(matches!(&error, Error::CorruptRecord { detail, .. } if detail.contains("seconds")), "{error}");
}

/// Submits a call of a task that the app's program doesn't have.
async fn submit_unknown(app: &TestApp) -> pynenc::InvocationId {
    use pynenc::core::lane::Submission;
    let template = app.submit(sleeps(1)).await.unwrap();
    let record = app.parts().state.invocations(&[template.id()]).await.unwrap().pop().flatten().unwrap();
    let (id, task) = (pynenc::InvocationId::new(), pynenc::TaskId::from("elsewhere::unknown"));
    let record = pynenc::core::record::InvocationRecord { id, task: task.clone(), ..(*record).clone() };
    let registration = pynenc::core::record::Registration::new(id, task, "default".into());
    let lane = pynenc::engine::StepLane::new(
        app.parts().broker.clone(),
        app.parts().orchestrator.clone(),
        app.parts().state.clone(),
    );
    pynenc::core::Lane::submit(&lane, vec![Submission { record: Arc::new(record), registration }]).await.unwrap();
    id
}

#[tokio::test]
async fn an_unknown_task_waits_for_a_runner_that_has_it() {
    let app = app().await;
    let id = submit_unknown(&app).await;
    app.advance(secs(3)).await;
    let record = app.status(id).await.unwrap();
    assert_eq!((record.status, record.reason), (Status::Rerouted, Reason::UnknownTask));
    let before = record.deliveries;
    app.advance(secs(60)).await;
    let deliveries = app.status(id).await.unwrap().deliveries - before;
    assert!((1..=2).contains(&deliveries), "the unknown task is claimed rarely: {deliveries}");
    app.advance(hours(23)).await;
    let waiting = app.status(id).await.unwrap();
    assert!(
        waiting.is_queued() && waiting.deliveries < 40,
        "the unknown task is claimed ever more rarely: {waiting:?}"
    );
    app.advance(hours(2)).await;
    assert_eq!(app.status(id).await.unwrap().status, Status::Failed);
    let error = app.result::<u64>(id).await.unwrap_err().to_string();
    for said in ["elsewhere::unknown", "1day", "runner.unknown_ttl"] {
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_task_can_wait_forever() {
    let app = app_with("runner.unknown_ttl", "0s").await;
    let id = submit_unknown(&app).await;
    app.advance(hours(72)).await;
    assert!(app.status(id).await.unwrap().is_queued());
}

#[tokio::test]
async fn a_finished_invocation_is_kept_for_its_retention() {
    let app = app().await;
    let invocation = app.submit(sleeps(1)).await.unwrap();
    invocation.result().await.unwrap();
    app.advance(hours(23)).await;
    assert_eq!(invocation.result().await.unwrap(), 1);
    app.advance(hours(2)).await;
    assert!(matches!(invocation.result().await, Err(Error::InvocationNotFound(_))));
    let left = app.parts().state.list(&Listing::PutBefore(std::time::Duration::ZERO), None, 10).await.unwrap();
    assert!(left.items.is_empty());
}

#[tokio::test]
async fn an_unregistered_record_is_dropped_by_age() {
    let app = app().await;
    let template = app.submit(sleeps(0)).await.unwrap();
    let record = app.parts().state.invocations(&[template.id()]).await.unwrap().pop().flatten().unwrap();
    let orphan = pynenc::InvocationId::new();
    let record = pynenc::core::record::InvocationRecord { id: orphan, ..(*record).clone() };
    app.parts().state.put_invocations(&[Arc::new(record)]).await.unwrap();
    app.advance(minutes(50)).await;
    assert!(app.parts().state.invocations(&[orphan]).await.unwrap()[0].is_some());
    app.advance(minutes(15)).await;
    assert!(app.parts().state.invocations(&[orphan]).await.unwrap()[0].is_none());
}

#[tokio::test]
async fn a_runner_without_a_needed_state_doesnt_start() {
    let app = Pynenc::builder()
        .without_config_file()
        .environment([])
        .memory()
        .without_linked_tasks()
        .tasks(all_tasks())
        .build()
        .await
        .unwrap();
    let error = app.start_runner().await.unwrap_err().to_string();
    assert!(error.contains("u32") && error.contains(".state(value)"), "{error}");
    let (_stopper, stop) = stop_pair();
    assert!(ThreadRunner::new().run((*app).clone(), stop).await.is_err());
}

#[derive(Debug, Default, Clone)]
struct Changes(Arc<Mutex<Vec<Status>>>);

impl Extension for Changes {
    fn on_change(&self, change: &pynenc::engine::StatusChange<'_>) {
        self.0.lock().unwrap().push(change.record.status);
    }
}

#[tokio::test]
async fn an_extension_is_notified_of_every_change() {
    use Status::{Cancelled, Registered, Running, Scheduled, Success};
    let changes = Changes::default();
    let app = TestApp::with(|builder| {
        builder.without_linked_tasks().tasks(all_tasks()).state(7u32).extension(changes.clone())
    })
    .await
    .unwrap();
    app.submit(needs_a_number()).await.unwrap().result().await.unwrap();
    app.submit(sleeps(1).delay(secs(5))).await.unwrap().cancel().await.unwrap();
    app.run_until_idle().await;
    let seen = changes.0.lock().unwrap().clone();
    assert_eq!(seen, [Registered, Running, Success, Scheduled, Cancelled]);
    assert!(app.extension::<Changes>().is_some());
}

#[tokio::test]
async fn a_purge_leaves_nothing() {
    let app = app().await;
    let waiting = app.submit(sleeps(1).delay(hours(1))).await.unwrap();
    app.purge().await.unwrap();
    assert!(matches!(waiting.status().await, Err(Error::InvocationNotFound(_))));
}
