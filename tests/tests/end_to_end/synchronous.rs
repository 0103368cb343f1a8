//! Tests of synchronous mode, in which a submit runs the task before it returns.

use pynenc::prelude::*;

#[task]
async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

#[task]
fn double(n: u32) -> u32 {
    2 * n
}

#[task(max_retries = 3)]
async fn works_the_third_time(#[inject] context: TaskContext) -> Result<u32, String> {
    match context.attempt_number() {
        3 => Ok(3),
        number => Err(number.to_string()),
    }
}

#[task]
async fn breaks() -> Result<(), String> {
    Err("broken".into())
}

#[task(timeout = "50ms")]
async fn hangs() {
    std::future::pending::<()>().await;
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn calls_its_own_kind(depth: u32) -> Result<u32> {
    if depth == 0 { Ok(0) } else { calls_its_own_kind(depth - 1).await }
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn leaves_one_behind(#[inject] context: TaskContext, depth: u32) -> Result<Option<pynenc::InvocationId>> {
    if depth == 0 {
        return Ok(None);
    }
    Ok(Some(context.submit(leaves_one_behind(depth - 1)).await?.id()))
}

#[task]
async fn wants_a_state(#[inject] text: State<String>) -> usize {
    text.len()
}

#[task]
async fn emits(#[inject] context: TaskContext, n: u32) -> Result<()> {
    context.engine().emit_event("doubled", &n).await.map(drop)
}

#[workflow(max_retries = 1, backoff = none)]
async fn sleeps_and_waits(
    #[inject] wf: Workflow,
    #[inject] context: TaskContext,
    emits_event: bool,
) -> Result<Option<u32>> {
    let doubled = wf.execute(double(4)).await?;
    let before = wf.now().await?;
    wf.sleep(hours(100)).await?;
    let slept = wf.now().await?.duration_since(before).map_err(Error::other)?;
    assert!(slept >= hours(100), "{slept:?}");
    if context.attempt_number() == 1 {
        return Err(Error::other("the first attempt"));
    }
    if emits_event {
        wf.execute(emits(doubled)).await?;
    }
    wf.wait_for_event("doubled").within(hours(1)).await
}

#[workflow]
async fn waits_in_vain(#[inject] wf: Workflow) -> Result<u32> {
    wf.wait_for_event("never").await
}

#[tokio::test]
async fn workflows_skip_their_sleeps() {
    let app = app().await;
    assert_eq!(app.submit(sleeps_and_waits(false)).await.unwrap().result().await.unwrap(), None);
    assert_eq!(app.submit(sleeps_and_waits(true)).await.unwrap().result().await.unwrap(), Some(8));
    let in_vain = app.submit(waits_in_vain()).await.unwrap();
    assert!(matches!(in_vain.result().await, Err(Error::StuckInSyncMode(_))));
}

async fn app() -> Pynenc {
    builder().dev_mode_force_sync_tasks(true).build().await.unwrap()
}

fn builder() -> pynenc::PynencBuilder {
    Pynenc::builder()
        .without_config_file()
        .environment([])
        .without_linked_tasks()
        .tasks(all_tasks())
        .state("state".to_owned())
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    let tasks = tasks![fibonacci, double, works_the_third_time, breaks, hangs, calls_its_own_kind, leaves_one_behind];
    tasks.into_iter().chain(tasks![wants_a_state, emits, sleeps_and_waits, waits_in_vain]).collect()
}

#[tokio::test]
async fn a_submit_returns_when_the_task_has_finished() {
    let app = app().await;
    let invocation = app.submit(double(4)).await.unwrap();
    assert_eq!(invocation.status().await.unwrap(), Status::Success);
    assert_eq!(invocation.result().await.unwrap(), 8);
}

#[tokio::test]
async fn nested_calls_batches_and_retries_run_inline_and_delays_are_skipped() {
    let app = app().await;
    assert_eq!(app.submit(fibonacci(10)).await.unwrap().result().await.unwrap(), 55);
    assert_eq!(app.submit_all((0..4).map(double)).await.unwrap().results().await.unwrap(), [0, 2, 4, 6]);
    assert_eq!(app.submit(works_the_third_time()).await.unwrap().result().await.unwrap(), 3);
    assert_eq!(app.submit(double(1).delay(hours(100))).await.unwrap().result().await.unwrap(), 2);
}

#[tokio::test]
async fn errors_and_timeouts_are_the_same_as_with_a_runner() {
    let app = app().await;
    let error = app.submit(breaks()).await.unwrap().result().await.unwrap_err();
    assert!(matches!(error, Error::TaskFailed(error) if error.message == "broken"));
    let error = app.submit(hangs()).await.unwrap().result().await.unwrap_err();
    assert!(matches!(error, Error::TaskFailed(error) if error.kind == "Timeout"));
}

#[tokio::test]
async fn concurrency_limits_apply_inline() {
    let app = app().await;
    let error = app.submit(calls_its_own_kind(1)).await.unwrap().result().await.unwrap_err();
    assert!(error.to_string().contains("wait for each other"), "{error}");
    let parked = app.submit(leaves_one_behind(1)).await.unwrap().result().await.unwrap().unwrap();
    assert_eq!(app.invocation::<leaves_one_behind>(parked).result().await.unwrap(), None);
}

#[tokio::test]
async fn a_variable_turns_synchronous_mode_on() {
    for on in ["true", "1", "yes", "On"] {
        let variable = ("PYNENC__DEV_MODE_FORCE_SYNC_TASKS".to_owned(), on.to_owned());
        let app = builder().environment([variable]).build().await.unwrap();
        assert_eq!(app.submit(double(1)).await.unwrap().status().await.unwrap(), Status::Success, "{on}");
    }
}

#[tokio::test]
async fn a_redis_program_runs_without_redis_in_synchronous_and_memory_mode() {
    let memory = ["BROKER", "ORCHESTRATOR", "STATE_BACKEND", "TRIGGER_STORE", "ARG_CACHE"]
        .into_iter()
        .zip(["MemBroker", "MemOrchestrator", "MemStateBackend", "MemTriggerStore", "MemArgCache"])
        .map(|(component, class)| (format!("PYNENC__{component}_CLS"), class.to_owned()))
        .collect::<Vec<_>>();
    let synchronous = vec![("PYNENC__DEV_MODE_FORCE_SYNC_TASKS".to_owned(), "true".to_owned())];
    // No server listens on port 1.
    let host = ("PYNENC__REDIS__REDIS_HOST".to_owned(), "127.0.0.1".to_owned());
    let port = ("PYNENC__REDIS__REDIS_PORT".to_owned(), "1".to_owned());
    for mode in [synchronous, memory] {
        let app = builder().redis("redis://127.0.0.1:1/0").environment(mode.clone()).build().await.unwrap();
        check_runs(&app).await;
        let named = mode.into_iter().chain([host.clone(), port.clone()]);
        check_runs(&builder().environment(named.collect::<Vec<_>>()).build().await.unwrap()).await;
    }
    let wrong = ("PYNENC__REDIS__REDIS_HOTS".to_owned(), "127.0.0.1".to_owned());
    let error = builder().environment([wrong]).dev_mode_force_sync_tasks(true).build().await.unwrap_err();
    assert!(error.to_string().contains("redis_hots"), "a misspelled setting is still found: {error}");
}

async fn check_runs(app: &Pynenc) {
    let runner = app.start_runner().await.unwrap();
    assert_eq!(app.submit(double(4)).await.unwrap().result().await.unwrap(), 8);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_missing_state_is_a_build_error() {
    let builder = Pynenc::builder()
        .without_config_file()
        .environment([])
        .dev_mode_force_sync_tasks(true)
        .tasks(tasks![wants_a_state])
        .without_linked_tasks();
    let error = builder.build().await.unwrap_err().to_string();
    assert!(error.contains("String") && error.contains(".state(value)"), "{error}");
}
