//! The load: tasks of every kind. Each records its start and has a predictable result.

use pynenc::prelude::*;
use pynenc::{PynencBuilder, TaskContext};

use crate::worker_tasks::SharedFolder;

/// The trigger that fires each second.
pub(super) const EACH_SECOND: &str = "each second";
/// Every trigger.
pub(super) const TRIGGERS: [&str; 3] = [EACH_SECOND, "each event", "each end"];

/// The event that workflows wait for. Its key is the workflow's number.
const GO_ON: &str = "go on";

type Noted = TaskContext;

/// Doubles its argument.
#[task]
pub(super) async fn plain(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", "plain", &context)?;
    Ok(2 * n)
}

/// Fails on the first attempt.
#[task(max_retries = 3, backoff = constant("200ms"))]
pub(super) async fn flaky(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", "flaky", &context)?;
    if context.attempt_number() == 1 { Err(Error::other("the first time")) } else { Ok(2 * n) }
}

/// Sleeps.
#[task]
pub(super) async fn slow(ms: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", "slow", &context)?;
    tokio::time::sleep(millis(ms)).await;
    shared.note("end", "slow", &context)?;
    Ok(2 * ms)
}

/// Sleeps on a thread of its own.
#[task]
pub(super) fn blocking(ms: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", "blocking", &context)?;
    std::thread::sleep(millis(ms));
    Ok(2 * ms)
}

/// Two run at a time for each account.
#[task(running_concurrency = keys(account), running_limit = 2, reroute_on_concurrency_control = true)]
pub(super) async fn limited(
    account: u64,
    n: u64,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: Noted,
) -> Result<u64> {
    shared.note("begin", "limited", &context)?;
    tokio::time::sleep(millis(20 + account)).await;
    Ok(2 * n)
}

/// One waits at a time for each account.
#[task(registration_concurrency = keys(account))]
pub(super) async fn single(
    account: u64,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: Noted,
) -> Result<u64> {
    shared.note("begin", "single", &context)?;
    Ok(2 * account)
}

/// Calls other tasks and waits for them. It is retried when a store refuses a submit.
#[task(max_retries = 1000, backoff = constant("200ms"))]
pub(super) async fn parent(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", "parent", &context)?;
    let children = context.submit_all((0..3).map(|child| plain(n + child))).await?;
    let slow = context.submit(slow(50)).await?;
    Ok(children.results().await?.iter().sum::<u64>() + slow.result().await?)
}

/// The result of `parent`.
pub(super) fn of_parent(n: u64) -> u64 {
    2 * (3 * n + 3) + 100
}

/// A workflow with every kind of operation. It records each value that an operation returns.
#[workflow(max_retries = 1000, backoff = constant("200ms"))]
pub(super) async fn flow(
    #[inject] wf: Workflow,
    n: u64,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: Noted,
) -> Result<u64> {
    shared.note("begin", "flow", &context)?;
    let got = |position: &str, value: String| shared.note("got", &format!("{position}={value}"), &context);
    got("random", wf.random().await?.to_string())?;
    let one = wf.execute(plain(n)).await?;
    got("one", one.to_string())?;
    let step = wf.step("chance", || async { Ok::<_, Error>(fastrand::u64(..1 << 50)) }).await?;
    got("step", step.to_string())?;
    wf.sleep(millis(200)).await?;
    let more = wf.execute_all([plain(n + 1), plain(n + 2)]).await?;
    got("more", format!("{},{}", more[0], more[1]))?;
    let event: u64 = wf.wait_for_event(GO_ON).key(&n.to_string()).await?;
    got("event", event.to_string())?;
    wf.set_data("n", &n).await?;
    Ok(one + more.iter().sum::<u64>())
}

/// The result of `flow`.
pub(super) fn of_flow(n: u64) -> u64 {
    2 * (3 * n + 3)
}

/// Emits the event that the workflow with this number waits for.
pub(super) async fn emit_flow_event(app: &Pynenc, n: u64) -> Result<u64> {
    app.emit_event(GO_ON, &(3 * n)).key(&n.to_string()).await
}

/// Is called each second.
#[task]
pub(super) async fn tick(slot: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", &format!("tick-{slot}"), &context)?;
    Ok(slot)
}

/// Is called for each event.
#[task]
pub(super) async fn heard(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", &format!("heard-{n}"), &context)?;
    Ok(n)
}

/// Is called for each completion of `heard`.
#[task]
pub(super) async fn after(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: Noted) -> Result<u64> {
    shared.note("begin", &format!("after-{n}"), &context)?;
    Ok(n)
}

/// Runs a worker process until it is stopped.
///
/// # Errors
///
/// The app can't be built. An unavailable store isn't an error.
pub async fn run_worker() -> Result<()> {
    build_app(&SharedFolder::of_environment()).await?.run().await
}

/// Builds the app, and waits for its store. A process that exits without a store would be restarted by its supervisor.
pub(super) async fn build_app(shared: &SharedFolder) -> Result<Pynenc> {
    loop {
        match app(shared.clone()).build().await {
            Err(error @ Error::Unavailable { .. }) => tracing::info!(%error, "the store can't be used yet"),
            app => return app,
        }
        tokio::time::sleep(millis(100)).await;
    }
}

/// Creates an app with these tasks and their triggers from the environment.
pub(super) fn app(shared: SharedFolder) -> PynencBuilder {
    let tasks = tasks![plain, flaky, slow, blocking, limited, single, parent, flow, tick, heard, after];
    Pynenc::builder()
        .without_config_file()
        .without_linked_tasks()
        .tasks(tasks)
        .state(shared)
        .trigger(
            on_cron("* * * * * *")
                .misfire(Misfire::All(minutes(10)))
                .call(|cx| tick(cx.slot().as_millis()))
                .id(EACH_SECOND),
        )
        .trigger(on_event::<u64>("n").call(|cx| heard(*cx.payload())).id(TRIGGERS[1]))
        .trigger(on_success::<heard>().call(|cx| after(*cx.result())).id(TRIGGERS[2]))
}
