//! The tasks of the tests that kill processes, and the app's setup. Worker processes and tests link the same code.

use std::path::{Path, PathBuf};

use pynenc::prelude::*;
use pynenc::{PynencBuilder, TaskId};
use pynenc_testkit::Ledger;

/// The variable that holds the folder of the ledger and the gates.
pub const SHARED_FOLDER: &str = "PYNENC_TESTS_FOLDER";

/// A folder in which task functions record their actions and wait at gates that a test opens.
#[derive(Debug, Clone)]
pub struct SharedFolder {
    folder: PathBuf,
    /// The actions of task functions.
    pub ledger: Ledger,
}

impl SharedFolder {
    /// Uses an existing folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { ledger: Ledger::at(folder.join("ledger")), folder }
    }

    /// Uses the folder from the environment.
    pub fn of_environment() -> Self {
        Self::in_folder(std::env::var_os(SHARED_FOLDER).unwrap_or_default())
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a gate for every task function.
    ///
    /// # Errors
    ///
    /// The folder is gone.
    pub fn open(&self, gate: &str) -> std::io::Result<()> {
        std::fs::write(self.gate(gate), "")
    }

    /// Whether a gate is open.
    pub fn is_open(&self, gate: &str) -> bool {
        self.gate(gate).exists()
    }

    fn gate(&self, gate: &str) -> PathBuf {
        self.folder.join(format!("gate-{gate}"))
    }

    /// Waits until a gate is open.
    pub async fn pass(&self, gate: &str) {
        while !self.is_open(gate) {
            tokio::time::sleep(millis(2)).await;
        }
    }

    /// Waits until one of two gates is open.
    pub async fn pass_either(&self, gate: &str, other: &str) {
        tokio::select! {
            () = self.pass(gate) => {}
            () = self.pass(other) => {}
        }
    }

    /// Records an action of a task function.
    pub(crate) fn note(&self, what: &str, name: &str, context: &TaskContext) -> Result<()> {
        self.ledger.note(what, name, context).map_err(Error::other)
    }
}

/// Records its start and its end.
#[task]
pub async fn noted(
    name: String,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<String> {
    shared.note("begin", &name, &context)?;
    shared.note("end", &name, &context)?;
    Ok(name)
}

/// Waits between its start and its end until the gate of its name is open.
#[task]
pub async fn gated(
    name: String,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<String> {
    shared.note("begin", &name, &context)?;
    shared.pass(&name).await;
    shared.note("end", &name, &context)?;
    Ok(name)
}

/// Waits for `gated`.
#[task]
pub async fn awaits_gated(name: String) -> Result<String> {
    gated(name).await
}

/// Waits like `gated`, but blocks a thread that other task functions use too.
#[task]
pub async fn blocks(name: String, #[inject] shared: State<SharedFolder>, #[inject] context: TaskContext) -> Result<()> {
    shared.note("begin", &name, &context)?;
    while !shared.is_open(&name) {
        std::thread::sleep(millis(5));
    }
    shared.note("end", &name, &context)
}

/// Blocks its thread until the gate of its name is open, and ignores its time limit and cancels.
#[task(timeout = "200ms")]
pub fn ignores_its_limit(
    name: String,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<()> {
    shared.note("begin", &name, &context)?;
    while !shared.is_open(&name) {
        std::thread::sleep(millis(5));
    }
    Ok(())
}

/// Waits like `gated`, one at a time for each account.
#[task(running_concurrency = keys(account), reroute_on_concurrency_control = true)]
pub async fn gated_for(
    account: String,
    name: String,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<()> {
    shared.note("begin", &account, &context)?;
    shared.pass(&name).await;
    shared.note("end", &account, &context)
}

/// Fails on the first attempt.
#[task(max_retries = 1, backoff = constant("1500ms"))]
pub async fn fails_first(
    name: String,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<u32> {
    shared.note("begin", &name, &context)?;
    if context.attempt_number() == 1 { Err(Error::other("the first time")) } else { Ok(context.attempt_number()) }
}

/// Aborts its process.
#[task]
pub async fn aborts(#[inject] shared: State<SharedFolder>, #[inject] context: TaskContext) -> Result<()> {
    shared.note("begin", "aborts", &context)?;
    std::process::abort();
}

/// Overflows its stack.
#[task]
pub fn overflows(#[inject] shared: State<SharedFolder>, #[inject] context: TaskContext) -> Result<u64> {
    shared.note("begin", "overflows", &context)?;
    Ok(depth(u64::from(context.attempt_number())))
}

/// The compiler can't see that the recursion is endless, or turn it into a loop.
fn depth(n: u64) -> u64 {
    let room = std::hint::black_box([n; 64]);
    if room[0] == 0 { 0 } else { depth(n + 1) + std::hint::black_box(room)[63] }
}

/// Is killed with SIGKILL, as by the kernel's out-of-memory killer.
#[task]
pub async fn is_killed(#[inject] shared: State<SharedFolder>, #[inject] context: TaskContext) -> Result<()> {
    shared.note("begin", "is_killed", &context)?;
    pynenc_testkit::signal(std::process::id(), "KILL");
    std::future::pending().await
}

/// A child of `journey`.
#[task]
pub async fn leg(n: u64, #[inject] shared: State<SharedFolder>, #[inject] context: TaskContext) -> Result<u64> {
    shared.note("leg", &n.to_string(), &context)?;
    Ok(10 * n)
}

/// A workflow with every kind of operation. Before each operation it records its number and waits at the gate of that
/// number or at the gate `all`.
#[workflow]
pub async fn journey(
    #[inject] wf: Workflow,
    #[inject] shared: State<SharedFolder>,
    #[inject] context: TaskContext,
) -> Result<Vec<u64>> {
    let at = async |n: u64| {
        shared.note("at", &n.to_string(), &context)?;
        shared.pass_either(&n.to_string(), "all").await;
        Ok::<_, Error>(())
    };
    at(1).await?;
    let chance = (wf.random().await? * 1000.0) as u64;
    at(2).await?;
    let one = wf.execute(leg(1)).await?;
    at(3).await?;
    let step = wf.step("noted", || async { shared.note("step", "noted", &context).map(|()| 7) }).await?;
    at(4).await?;
    let more = wf.execute_all([leg(2), leg(3)]).await?;
    at(5).await?;
    wf.set_data("one", &one).await?;
    at(6).await?;
    wf.sleep(millis(300)).await?;
    at(7).await?;
    let event: u64 = wf.wait_for_event("go on").await?;
    at(8).await?;
    let kept: Option<u64> = wf.get_data("one").await?;
    at(9).await?;
    Ok(vec![chance, one, step, more[0], more[1], event, kept.unwrap_or(0)])
}

/// Two versions of one workflow, as in two versions of a program.
#[workflow]
pub async fn versioned(#[inject] wf: Workflow, #[inject] shared: State<SharedFolder>) -> Result<u64> {
    let one = wf.execute(leg(1)).await?;
    if std::env::var_os(VERSION).is_some() {
        wf.step("added", || async { Ok::<_, Error>(()) }).await?;
    }
    let two = wf.execute(leg(2)).await?;
    shared.pass("versioned").await;
    Ok(one + two)
}

/// The variable that selects the later version of a worker.
pub const VERSION: &str = "PYNENC_TESTS_VERSION";

/// The variable that selects an earlier version of a worker without the task `leg`.
pub const WITHOUT_LEG: &str = "PYNENC_TESTS_WITHOUT_LEG";

/// Creates an app with these tasks from the environment.
pub fn builder(shared: SharedFolder) -> PynencBuilder {
    let mut tasks: Vec<_> = tasks![
        noted,
        gated,
        awaits_gated,
        blocks,
        ignores_its_limit,
        gated_for,
        fails_first,
        aborts,
        overflows,
        is_killed,
        leg,
        journey,
        versioned
    ]
    .into();
    if std::env::var_os(WITHOUT_LEG).is_some() {
        tasks.retain(|task| task.name != leg::NAME);
    }
    Pynenc::builder().without_config_file().without_linked_tasks().tasks(tasks).state(shared)
}

/// The id of a task.
pub fn id_of<T: Task>() -> TaskId {
    T::definition().name.into()
}
