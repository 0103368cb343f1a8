//! Tests of workflows: recorded operations, replays and suspended runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use pynenc::prelude::*;
use pynenc::workflows::RunFilter;
use pynenc::{InvocationId, PynencBuilder, Reason};
use serde_json::{Value, json};

use crate::backend::{App, Backend, on_each_backend};

/// Notes of task functions, and a switch that tests set.
#[derive(Debug, Default)]
struct Notebook {
    notes: Mutex<Vec<String>>,
    switch: AtomicU32,
}

impl Notebook {
    fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap().push(text.into());
    }

    fn switch(&self) -> u32 {
        self.switch.load(Ordering::SeqCst)
    }
}

/// Returns the notes in order.
#[task]
async fn notes(#[inject] notebook: State<Notebook>) -> Vec<String> {
    notebook.notes.lock().unwrap().clone()
}

#[task]
async fn set_switch(#[inject] notebook: State<Notebook>, to: u32) {
    notebook.switch.store(to, Ordering::SeqCst);
}

#[task]
async fn double(#[inject] notebook: State<Notebook>, n: u64) -> u64 {
    notebook.note(format!("double {n}"));
    2 * n
}

/// Fails while the switch is 0.
#[task]
async fn fragile(#[inject] notebook: State<Notebook>, name: String) -> Result<String> {
    notebook.note(format!("fragile {name}"));
    if notebook.switch() == 0 { Err(Error::other("not now")) } else { Ok(name) }
}

#[task]
async fn never() {
    std::future::pending::<()>().await;
}

type All = (f64, String, SystemTime, u64, Vec<u64>, String, Option<String>);

#[workflow(max_retries = 1, backoff = none)]
async fn of_all_kinds(#[inject] wf: Workflow, #[inject] notebook: State<Notebook>, cx: String) -> Result<Vec<All>> {
    notebook.note(format!("begin {cx}"));
    let absent: Option<String> = wf.get_data("name").await?;
    wf.set_data("name", &cx).await?;
    let all = (
        wf.random().await?,
        wf.uuid().await?.to_string(),
        wf.now().await?,
        wf.execute(double(21)).await?,
        wf.execute_all((1..4).map(double)).await?,
        wf.step("noted", || async { Ok::<_, Error>(step_of(&notebook)) }).await?,
        wf.get_data("name").await?,
    );
    assert!(absent.is_none());
    if notebook.notes.lock().unwrap().iter().filter(|note| note.starts_with("begin")).count() == 1 {
        notebook.note(json!(all).to_string());
        return Err(Error::other("the first attempt"));
    }
    Ok(vec![all])
}

fn step_of(notebook: &Notebook) -> String {
    notebook.note("step");
    "stepped".to_owned()
}

#[workflow]
async fn sleeps(#[inject] wf: Workflow, #[inject] notebook: State<Notebook>, millis: u64) -> Result<u64> {
    notebook.note("before");
    wf.sleep(pynenc::time::millis(millis)).await?;
    notebook.note("after");
    wf.execute(double(millis)).await
}

/// Never finishes.
#[workflow]
async fn hangs(#[inject] wf: Workflow) -> Result<()> {
    wf.step("hangs", std::future::pending::<Result<()>>).await
}

#[workflow]
async fn waits(#[inject] wf: Workflow, name: String, key: Option<String>) -> Result<Vec<Value>> {
    let one = |key: &Option<String>| {
        let wait = wf.wait_for_event::<Value>(&name);
        if let Some(key) = key { wait.key(key) } else { wait }
    };
    Ok(vec![one(&key).await?, one(&key).await?])
}

#[workflow]
async fn waits_within(#[inject] wf: Workflow, millis: u64) -> Result<Option<u32>> {
    wf.wait_for_event("answer").within(pynenc::time::millis(millis)).await
}

#[workflow]
async fn in_branches(#[inject] wf: Workflow) -> Result<Vec<u64>> {
    let chain = async |name: &str, from: u64| {
        let branch = wf.branch(name);
        let twice = branch.execute(double(from)).await?;
        branch.sleep(millis(10 * from)).await?;
        branch.execute(double(twice)).await
    };
    let (one, other, joined) = tokio::join!(chain("one", 1), chain("other", 5), wf.execute_all([double(100)]));
    let (a, b) = tokio::join!(wf.execute(double(1000)), wf.execute(double(2000)));
    Ok(vec![one?, other?, joined?[0], a?, b?])
}

#[workflow]
async fn overlaps(#[inject] wf: Workflow) -> Result<()> {
    let chain = async || {
        wf.sleep(millis(5)).await?;
        wf.sleep(millis(5)).await
    };
    let (one, other) = tokio::join!(chain(), chain());
    one.and(other)
}

#[workflow]
async fn races(#[inject] wf: Workflow, #[inject] notebook: State<Notebook>) -> Result<String> {
    let won = tokio::select! {
        slept = wf.sleep(millis(300)) => slept.map(|()| "sleep".to_owned())?,
        event = wf.wait_for_event::<String>("race") => event?,
    };
    notebook.note(&won);
    wf.sleep(millis(600)).await?;
    Ok(won)
}

/// Handles a failed call, then fails in a step until the switch is set.
#[workflow(max_retries = 1, backoff = none)]
async fn compensates(#[inject] wf: Workflow, #[inject] notebook: State<Notebook>) -> Result<String> {
    let declined = wf.execute(fragile("handled".into())).await.unwrap_err().to_string();
    wf.execute(set_switch(1)).await?;
    notebook.note(&declined);
    let step = wf.step("tried", || async {
        notebook.note("tried");
        if notebook.switch() == 1 {
            notebook.switch.store(2, Ordering::SeqCst);
            return Err(Error::other("once more"));
        }
        Ok("tried".to_owned())
    });
    let step = step.await?;
    Ok(format!("{declined}, {step}"))
}

#[workflow]
async fn fails_by_a_child(#[inject] wf: Workflow) -> Result<String> {
    let n = wf.execute(double(4)).await?;
    let name = wf.execute(fragile(format!("child {n}"))).await?;
    wf.set_data("name", &name).await?;
    Ok(name)
}

/// One branch fails while the other continues.
#[workflow]
async fn fails_beside(#[inject] wf: Workflow) -> Result<String> {
    let (left, right) = (wf.branch("left"), wf.branch("right"));
    let goes_on = async {
        right.sleep(millis(100)).await?;
        right.execute(double(1)).await?;
        right.execute(double(2)).await
    };
    let (failed, gone) = tokio::join!(left.execute(fragile("beside".into())), goes_on);
    gone?;
    Ok(failed? + &wf.execute(double(3)).await?.to_string())
}

#[workflow]
async fn changes(#[inject] wf: Workflow, #[inject] notebook: State<Notebook>) -> Result<u64> {
    let first = wf.execute(double(1)).await?;
    match notebook.switch() {
        1 => return Ok(first),
        2 => drop(wf.step("other", || async { Ok::<_, Error>(()) }).await?),
        3 => drop(wf.execute(double(3)).await?),
        4 => drop(wf.sleep(millis(1)).await?),
        _ => drop(wf.execute(double(2)).await?),
    }
    wf.wait_for_event::<Value>("go on").await?;
    wf.execute(double(first)).await
}

#[workflow]
async fn cancelled(#[inject] wf: Workflow) -> Result<()> {
    let (one, other) = tokio::join!(wf.execute(never()), wf.execute(calls_never()));
    one.and(other)
}

#[workflow]
async fn calls_never(#[inject] wf: Workflow) -> Result<()> {
    let (one, other) = tokio::join!(wf.execute(never()), wf.sleep(hours(1)));
    one.and(other)
}

#[task]
async fn workflow_of(#[inject] context: TaskContext) -> Vec<Option<InvocationId>> {
    let workflow = context.workflow();
    vec![workflow.map(|it| it.id), workflow.and_then(|it| it.parent)]
}

/// A plain task that uses a workflow. It starts one, or joins its caller's.
#[task]
async fn plain(#[inject] wf: Workflow) -> Result<(InvocationId, Vec<Option<InvocationId>>)> {
    Ok((wf.id(), wf.execute(workflow_of()).await?))
}

#[workflow]
async fn sub(#[inject] wf: Workflow) -> Result<Vec<Option<InvocationId>>> {
    Ok(vec![Some(wf.id()), wf.parent()])
}

type Ids = (InvocationId, Vec<Option<InvocationId>>, Vec<Option<InvocationId>>);

#[workflow]
async fn outer(#[inject] wf: Workflow) -> Result<Ids> {
    let (id, child) = wf.execute(plain()).await?;
    Ok((id, child, wf.execute(sub()).await?))
}

#[workflow]
async fn counts(#[inject] wf: Workflow, to: u64, size: usize) -> Result<u64> {
    for n in 0..to {
        wf.step("count", || async { Ok::<_, Error>(n) }).await?;
    }
    wf.step("large", || async { Ok::<_, Error>("x".repeat(size)) }).await?;
    Ok(to)
}

async fn app(backend: Backend) -> App {
    app_with(backend, |builder| builder).await
}

async fn app_with(backend: Backend, configure: impl Fn(PynencBuilder) -> PynencBuilder) -> App {
    let tasks = || -> Vec<&'static pynenc::engine::TaskDefinition> {
        let tasks =
            tasks![notes, set_switch, double, fragile, never, of_all_kinds, sleeps, waits, waits_within, in_branches];
        let more = tasks![overlaps, races, compensates, fails_by_a_child, changes, cancelled, calls_never, workflow_of];
        tasks.into_iter().chain(more).chain(tasks![plain, sub, outer, counts, hangs, fails_beside]).collect()
    };
    backend
        .app(|builder| {
            let builder = builder.without_linked_tasks().tasks(tasks()).state(Notebook::default());
            configure(builder.set("workflow.put_aside_after", "50ms"))
        })
        .await
}

async fn noted(app: &App) -> Vec<String> {
    app.submit(notes()).await.unwrap().result().await.unwrap()
}

async fn switch(app: &App, to: u32) {
    app.submit(set_switch(to)).await.unwrap().result().await.unwrap();
}

/// Waits until a run is suspended.
async fn is_suspended<T: Task>(invocation: &Invocation<T>) {
    while invocation.status().await.unwrap() != Status::Scheduled {
        tokio::time::sleep(millis(5)).await;
    }
}

/// The number of history lines with a reason.
async fn times<T: Task>(invocation: &Invocation<T>, reason: Reason) -> usize {
    invocation.history().await.unwrap().iter().filter(|entry| entry.reason == reason).count()
}

on_each_backend![
    each_operation_is_recorded_once_and_replayed,
    a_sleeping_workflow_is_suspended_without_a_charge,
    a_timeout_counts_only_running_time,
    a_workflow_gets_each_event_since_its_submission_once,
    a_keyed_event_resumes_only_its_waiters,
    a_wait_for_an_event_can_time_out,
    branches_and_joined_operations_have_a_stable_order,
    an_unstable_order_is_a_typed_error,
    a_replay_keeps_the_order_of_completions,
    a_handled_failure_is_recorded_and_an_unhandled_one_is_repeated,
    a_retry_continues_the_journal_and_repeats_failed_calls,
    changed_code_is_a_mismatch_and_restored_code_continues,
    a_cancel_reaches_all_descendants,
    tasks_join_their_parents_workflow_and_workflows_start_their_own,
    limits_are_typed_errors_with_advice,
    runs_are_listed_with_trees_and_readable_journals,
    a_repeated_retry_returns_the_same_invocation,
    a_retry_repeats_failures_of_parallel_branches,
];

async fn each_operation_is_recorded_once_and_replayed(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(of_all_kinds("x".into())).await.unwrap();
    let value = invocation.result().await.unwrap();
    let (random, ..) = value[0];
    assert!((0.0..1.0).contains(&random));
    assert_eq!((value[0].3, &value[0].4, value[0].6.as_deref()), (42, &vec![2, 4, 6], Some("x")));
    let notes = noted(&app).await;
    let at_first: All = serde_json::from_str(notes.iter().find(|note| note.starts_with('[')).unwrap()).unwrap();
    assert_eq!(at_first, value[0]);
    let count = |start: &str| notes.iter().filter(|note| note.starts_with(start)).count();
    assert_eq!((count("begin"), count("double"), count("step")), (2, 4, 1), "{notes:?}");
}

async fn a_sleeping_workflow_is_suspended_without_a_charge(backend: Backend) {
    let app = app_with(backend, |builder| builder.set("runner.concurrency", 1)).await;
    let invocation = app.submit(sleeps(1500).timeout(secs(1))).await.unwrap();
    is_suspended(&invocation).await;
    assert_eq!(noted(&app).await, ["before"], "the suspended run holds no slot");
    assert_eq!(invocation.result().await.unwrap(), 3000);
    assert_eq!(noted(&app).await, ["before", "before", "after", "double 1500"]);
    let (suspensions, record) =
        (times(&invocation, Reason::Suspended).await, app.status(invocation.id()).await.unwrap());
    assert_eq!((suspensions, record.retries, record.losses, record.starts), (1, 0, 0, 2));
    let history = invocation.history().await.unwrap();
    let [suspended, resumed] = [Reason::Suspended, Reason::Claimed]
        .map(|reason| history.iter().rfind(|entry| entry.reason == reason).unwrap().at);
    assert!(resumed.since(history[0].at) >= millis(1500), "{history:#?}");
    assert!(suspended < resumed);
}

async fn a_timeout_counts_only_running_time(backend: Backend) {
    let app = app_with(backend, |builder| builder.set("workflow.put_aside_after", "400ms")).await;
    let invocation = app.submit(sleeps(900).timeout(millis(300))).await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), 1800);
    let stuck = app.submit(hangs().timeout(millis(300))).await.unwrap();
    let Error::TaskFailed(error) = stuck.result().await.unwrap_err() else { panic!("the task didn't time out") };
    assert_eq!(error.kind, "Timeout");
}

async fn a_workflow_gets_each_event_since_its_submission_once(backend: Backend) {
    let app = app(backend).await;
    app.emit_event("early", &"before it was submitted").await.unwrap();
    tokio::time::sleep(millis(5)).await;
    let two = [
        app.submit(waits("early".into(), None)).await.unwrap(),
        app.submit(waits("early".into(), None)).await.unwrap(),
    ];
    app.emit_event("early", &1).await.unwrap();
    for invocation in &two {
        is_suspended(invocation).await;
    }
    app.emit_event("other", &"x").await.unwrap();
    app.emit_event("early", &json!({"n": 2})).await.unwrap();
    for invocation in &two {
        assert_eq!(invocation.result().await.unwrap(), [json!(1), json!({"n": 2})]);
        assert_eq!(times(invocation, Reason::Woken).await, 1);
        assert_eq!(app.status(invocation.id()).await.unwrap().retries, 0);
    }
}

async fn a_keyed_event_resumes_only_its_waiters(backend: Backend) {
    let app = app(backend).await;
    let of = async |key: &str| app.submit(waits("keyed".into(), Some(key.to_owned()))).await.unwrap();
    let (ana, bea) = (of("ana").await, of("bea").await);
    is_suspended(&ana).await;
    is_suspended(&bea).await;
    app.emit_event("keyed", &0).await.unwrap();
    for n in 1..3 {
        app.emit_event("keyed", &n).key("ana").await.unwrap();
    }
    assert_eq!(ana.result().await.unwrap(), [1, 2]);
    assert_eq!((bea.status().await.unwrap(), times(&bea, Reason::Woken).await), (Status::Scheduled, 0));
    for n in 3..5 {
        app.emit_event("keyed", &n).key("bea").await.unwrap();
    }
    assert_eq!(bea.result().await.unwrap(), [3, 4]);
}

async fn a_wait_for_an_event_can_time_out(backend: Backend) {
    let app = app(backend).await;
    let in_vain = app.submit(waits_within(700)).await.unwrap();
    assert_eq!(in_vain.result().await.unwrap(), None);
    let answered = app.submit(waits_within(600_000)).await.unwrap();
    is_suspended(&answered).await;
    app.emit_event("answer", &42).await.unwrap();
    assert_eq!(answered.result().await.unwrap(), Some(42));
    assert_eq!(times(&in_vain, Reason::Suspended).await, 1);
}

async fn branches_and_joined_operations_have_a_stable_order(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(in_branches()).await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), [4, 20, 200, 2000, 4000]);
    let positions = |steps: Vec<pynenc::workflows::JournalStep>| {
        let mut positions: Vec<_> = steps.into_iter().map(|step| step.position).collect();
        positions.sort();
        positions
    };
    let positions = positions(app.workflows().journal(invocation.id()).await.unwrap());
    for position in ["1", "2", "3", "one/1", "one/2", "one/3", "other/1", "other/2", "other/3"] {
        assert!(positions.iter().any(|found| found == position), "{position} in {positions:?}");
    }
}

async fn an_unstable_order_is_a_typed_error(backend: Backend) {
    let app = app(backend).await;
    let error = app.submit(overlaps()).await.unwrap().result().await.unwrap_err();
    let Error::TaskFailed(error) = error else { panic!("{error}") };
    assert_eq!(error.kind, "UnstableOrder");
    assert!(error.message.contains("wf.branch(name)") && error.message.contains("sleep at 2"), "{error}");
}

async fn a_replay_keeps_the_order_of_completions(backend: Backend) {
    let app = app(backend).await;
    let slept = app.submit(races()).await.unwrap();
    assert_eq!(slept.result().await.unwrap(), "sleep");
    let answered = app.submit(races()).await.unwrap();
    is_suspended(&answered).await;
    app.emit_event("race", "event").await.unwrap();
    // When the run resumes, the sleep is over too, but the event was recorded before.
    assert_eq!(answered.result().await.unwrap(), "event");
    let notes = noted(&app).await;
    assert!(notes.iter().filter(|note| *note == "event").count() >= 2, "{notes:?}");
    assert!(notes.iter().filter(|note| *note == "sleep").count() >= 2, "{notes:?}");
}

async fn a_handled_failure_is_recorded_and_an_unhandled_one_is_repeated(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(compensates()).await.unwrap();
    let value = invocation.result().await.unwrap();
    assert!(value.contains("not now") && value.ends_with(", tried"), "{value}");
    let notes = noted(&app).await;
    let count = |start: &str| notes.iter().filter(|note| note.starts_with(start)).count();
    assert_eq!((count("fragile handled"), count("tried")), (1, 2), "{notes:?}");
    let steps = app.workflows().journal(invocation.id()).await.unwrap();
    assert!(steps[0].failed && steps[0].kind == "execute" && !steps[2].failed, "{steps:#?}");
}

async fn a_retry_continues_the_journal_and_repeats_failed_calls(backend: Backend) {
    let app = app(backend).await;
    let failed = app.submit(fails_by_a_child()).await.unwrap();
    assert!(matches!(failed.result().await, Err(Error::TaskFailed(_))));
    switch(&app, 1).await;
    let retried = app.invocation::<fails_by_a_child>(app.retry(failed.id()).await.unwrap());
    assert_eq!(retried.result().await.unwrap(), "child 8");
    let notes = noted(&app).await;
    assert_eq!(notes, ["double 4", "fragile child 8", "fragile child 8"]);
    let name: Option<String> = app.workflows().data(failed.id(), "name").await.unwrap();
    assert_eq!(name.as_deref(), Some("child 8"), "the retry belongs to the same workflow");
    let runs = app.workflows().runs(&RunFilter::default(), 10).await.unwrap().runs;
    let mut runs: Vec<_> = runs.iter().map(|run| (run.id, run.workflow.id, run.retry_of)).collect();
    // Runs of one millisecond have the order of their ids, and the id of a retry is derived.
    runs.sort_by_key(|(_, _, retry_of)| *retry_of);
    assert_eq!(runs, [(failed.id(), failed.id(), None), (retried.id(), failed.id(), Some(failed.id()))]);
}

async fn a_retry_repeats_failures_of_parallel_branches(backend: Backend) {
    let app = app(backend).await;
    let failed = app.submit(fails_beside()).await.unwrap();
    assert!(matches!(failed.result().await, Err(Error::TaskFailed(_))));
    let again = app.invocation::<fails_beside>(app.retry(failed.id()).await.unwrap());
    assert!(matches!(again.result().await, Err(Error::TaskFailed(_))));
    switch(&app, 1).await;
    let retried = app.invocation::<fails_beside>(app.retry(again.id()).await.unwrap());
    assert_eq!(retried.result().await.unwrap(), "beside6");
    let notes = noted(&app).await;
    let count = |text: &str| notes.iter().filter(|note| *note == text).count();
    assert_eq!((count("fragile beside"), count("double 1"), count("double 2"), count("double 3")), (3, 1, 1, 1));
}

async fn a_repeated_retry_returns_the_same_invocation(backend: Backend) {
    let app = app(backend).await;
    let done = app.submit(double(1)).await.unwrap();
    done.result().await.unwrap();
    let (first, second) = (app.retry(done.id()).await.unwrap(), app.retry(done.id()).await.unwrap());
    assert_eq!(first, second);
    assert_eq!(app.invocation::<double>(first).result().await.unwrap(), 2);
    assert_eq!(noted(&app).await, ["double 1", "double 1"]);
    let waiting = app.submit(never().delay(hours(1))).await.unwrap();
    assert!(app.retry(waiting.id()).await.unwrap_err().to_string().contains("hasn't finished"));
}

async fn changed_code_is_a_mismatch_and_restored_code_continues(backend: Backend) {
    let app = app(backend).await;
    let expected = [
        (1, "2", "execute `", "the end of the body"),
        (2, "2", "execute `", "step `other`"),
        (3, "2", "execute `", "with other arguments"),
        (4, "2", "execute `", "sleep"),
    ];
    for (to, position, recorded, found) in expected {
        switch(&app, 0).await;
        // The last round's event must be older than this run.
        tokio::time::sleep(millis(5)).await;
        let broken = app.submit(changes()).await.unwrap();
        is_suspended(&broken).await;
        switch(&app, to).await;
        app.emit_event("go on", &1).await.unwrap();
        let error = broken.result().await.unwrap_err();
        let Error::NonDeterminism { mismatch, id } = &error else { panic!("{to}: {error}") };
        assert_eq!((*id, mismatch.position.as_str()), (broken.id(), position), "{mismatch}");
        assert!(mismatch.recorded.starts_with(recorded) && mismatch.found.ends_with(found), "{to}: {mismatch}");
        assert_eq!(app.status(broken.id()).await.unwrap().reason, Reason::NonDeterminism);
        assert_eq!(app.workflows().journal(broken.id()).await.unwrap().len(), 2, "the journal is kept");
        switch(&app, 0).await;
        let retried = app.invocation::<changes>(app.retry(broken.id()).await.unwrap());
        assert_eq!(retried.result().await.unwrap(), 4);
    }
    let doubled = noted(&app).await.iter().filter(|note| *note == "double 1").count();
    assert_eq!(doubled, expected.len(), "a recorded call isn't repeated");
}

async fn a_cancel_reaches_all_descendants(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(cancelled()).await.unwrap();
    let grown = async || {
        let tree = app.workflows().tree(invocation.id()).await.unwrap();
        let running = |tree: &pynenc::workflows::CallTree| tree.status == Some(Status::Running);
        let below: Vec<_> = tree.children.iter().flat_map(|child| &child.children).collect();
        tree.children.len() == 2 && below.len() == 1 && below.into_iter().all(running)
    };
    while !grown().await {
        tokio::time::sleep(millis(5)).await;
    }
    invocation.cancel().await.unwrap();
    assert!(matches!(invocation.result().await, Err(Error::Cancelled(_))));
    let cancelled = async || app.count(Status::Cancelled).await.unwrap();
    while cancelled().await < 4 {
        tokio::time::sleep(millis(5)).await;
    }
}

async fn tasks_join_their_parents_workflow_and_workflows_start_their_own(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(outer()).await.unwrap();
    let (own, child, sub) = invocation.result().await.unwrap();
    let id = invocation.id();
    assert_eq!((own, child), (id, vec![Some(id), None]));
    assert_eq!(sub[1], Some(id));
    assert_ne!(sub[0], Some(id));
    let alone = app.submit(plain()).await.unwrap();
    assert_eq!(alone.result().await.unwrap(), (alone.id(), vec![Some(alone.id()), None]));
    let unrelated = app.submit(workflow_of()).await.unwrap();
    assert_eq!(unrelated.result().await.unwrap(), [None, None]);
}

async fn limits_are_typed_errors_with_advice(backend: Backend) {
    let limit = |builder: PynencBuilder| builder.set("workflow.max_steps", 20).set("workflow.max_value_size", 1000);
    let app = app_with(backend, limit).await;
    let error = async |to, size| {
        let invocation = app.submit(counts(to, size)).await.unwrap();
        let Err(Error::TaskFailed(error)) = invocation.result().await else {
            panic!("{to} steps of {size} bytes are within the limits")
        };
        assert_eq!(error.kind, "TooLarge");
        (error.message, app.workflows().export(invocation.id()).await.unwrap().steps.len())
    };
    assert_eq!(app.submit(counts(19, 900)).await.unwrap().result().await.unwrap(), 19);
    let (full, steps) = error(20, 10).await;
    assert!(full.contains("workflow.max_steps = 20") && full.contains("workflow of its own"), "{full}");
    assert_eq!(steps, 20);
    let (large, steps) = error(3, 2000).await;
    assert!(large.contains("workflow.max_value_size = 1000") && large.contains("step `large` at 4"), "{large}");
    assert_eq!(steps, 3);
}

async fn runs_are_listed_with_trees_and_readable_journals(backend: Backend) {
    let app = app(backend).await;
    let done = app.submit(in_branches()).await.unwrap();
    done.result().await.unwrap();
    let suspended = app.submit(sleeps(600_000)).await.unwrap();
    is_suspended(&suspended).await;
    let runs = async |filter: RunFilter| {
        let found = app.workflows().runs(&filter, 10).await.unwrap();
        found.runs.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(runs(RunFilter::default()).await, [done.id(), suspended.id()]);
    let of_type = RunFilter { task: Some(sleeps::NAME.into()), ..RunFilter::default() };
    assert_eq!(runs(of_type).await, [suspended.id()]);
    let of_state = RunFilter { statuses: vec![Status::Success], ..RunFilter::default() };
    assert_eq!(runs(of_state).await, [done.id()]);
    let first = app.workflows().runs(&RunFilter::default(), 1).await.unwrap();
    assert_eq!((first.runs.len(), first.next.is_some()), (1, true));
    let tree = app.workflows().tree(done.id()).await.unwrap();
    assert_eq!((tree.children.len(), tree.status), (7, Some(Status::Success)));
    let steps = app.workflows().journal(suspended.id()).await.unwrap();
    assert_eq!((steps[0].kind.as_str(), &steps[0].value), ("sleep", &json!({"secs": 600, "nanos": 0})));
}
