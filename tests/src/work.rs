//! The tasks of the tests that kill processes, and how an app with them is set up: a worker process and the test that
//! watches it link the same.

use std::path::{Path, PathBuf};

use pynenc::prelude::*;
use pynenc::{PynencBuilder, TaskId};
use pynenc_testkit::Ledger;

/// The variable that names the folder with the ledger and the gates.
pub const STAGE: &str = "PYNENC_TESTS_STAGE";

/// A folder in which bodies write down what they do, and wait at gates that a test opens.
#[derive(Debug, Clone)]
pub struct Stage {
    folder: PathBuf,
    /// What bodies did.
    pub ledger: Ledger,
}

impl Stage {
    /// The stage of a folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { ledger: Ledger::at(folder.join("ledger")), folder }
    }

    /// The stage that the environment names.
    pub fn of_environment() -> Self {
        Self::in_folder(std::env::var_os(STAGE).unwrap_or_default())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets every body through a gate.
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

    /// Waits at a gate.
    pub async fn pass(&self, gate: &str) {
        while !self.is_open(gate) {
            tokio::time::sleep(millis(2)).await;
        }
    }

    /// Waits at two gates until one of them is open.
    pub async fn pass_either(&self, gate: &str, other: &str) {
        tokio::select! {
            () = self.pass(gate) => {}
            () = self.pass(other) => {}
        }
    }

    /// Writes down that a body has come so far.
    pub(crate) fn note(&self, what: &str, name: &str, context: &TaskContext) -> Result<()> {
        self.ledger.note(what, name, context).map_err(Error::other)
    }
}

/// Writes down that it begins and ends.
#[task]
pub async fn noted(name: String, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<String> {
    stage.note("begin", &name, &context)?;
    stage.note("end", &name, &context)?;
    Ok(name)
}

/// Waits between its beginning and its end until the gate of its name is open.
#[task]
pub async fn gated(name: String, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<String> {
    stage.note("begin", &name, &context)?;
    stage.pass(&name).await;
    stage.note("end", &name, &context)?;
    Ok(name)
}

/// Waits for `gated`.
#[task]
pub async fn awaits_gated(name: String) -> Result<String> {
    gated(name).await
}

/// As `gated`, but it blocks the thread on which others run too.
#[task]
pub async fn blocks(name: String, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<()> {
    stage.note("begin", &name, &context)?;
    while !stage.is_open(&name) {
        std::thread::sleep(millis(5));
    }
    stage.note("end", &name, &context)
}

/// Blocks its thread until the gate of its name is open, whatever its time limit and a cancel say.
#[task(timeout = "200ms")]
pub fn ignores_its_limit(name: String, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<()> {
    stage.note("begin", &name, &context)?;
    while !stage.is_open(&name) {
        std::thread::sleep(millis(5));
    }
    Ok(())
}

/// As `gated`, one at a time for each account.
#[task(running_concurrency = keys(account), reroute_on_concurrency_control = true)]
pub async fn gated_for(
    account: String,
    name: String,
    #[inject] stage: State<Stage>,
    #[inject] context: TaskContext,
) -> Result<()> {
    stage.note("begin", &account, &context)?;
    stage.pass(&name).await;
    stage.note("end", &account, &context)
}

/// Fails the first time.
#[task(max_retries = 1, backoff = constant("1500ms"))]
pub async fn fails_first(name: String, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<u32> {
    stage.note("begin", &name, &context)?;
    if context.attempt_number() == 1 { Err(Error::other("the first time")) } else { Ok(context.attempt_number()) }
}

/// Takes its process down.
#[task]
pub async fn aborts(#[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<()> {
    stage.note("begin", "aborts", &context)?;
    std::process::abort();
}

/// Overflows its stack.
#[task]
pub fn overflows(#[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<u64> {
    stage.note("begin", "overflows", &context)?;
    Ok(depth(u64::from(context.attempt_number())))
}

/// The compiler can't see that it has no end, and it isn't the last thing that it does.
fn depth(n: u64) -> u64 {
    let room = std::hint::black_box([n; 64]);
    if room[0] == 0 { 0 } else { depth(n + 1) + std::hint::black_box(room)[63] }
}

/// Is killed, as by a kernel without memory.
#[task]
pub async fn is_killed(#[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<()> {
    stage.note("begin", "is_killed", &context)?;
    pynenc_testkit::signal(std::process::id(), "KILL");
    std::future::pending().await
}

/// A child of `journey`.
#[task]
pub async fn leg(n: u64, #[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<u64> {
    stage.note("leg", &n.to_string(), &context)?;
    Ok(10 * n)
}

/// A workflow of every kind of operation. Before each it writes down that it comes there, and waits at the gate of its
/// number, unless all gates are open.
#[workflow]
pub async fn journey(
    #[inject] wf: Workflow,
    #[inject] stage: State<Stage>,
    #[inject] context: TaskContext,
) -> Result<Vec<u64>> {
    let at = async |n: u64| {
        stage.note("at", &n.to_string(), &context)?;
        stage.pass_either(&n.to_string(), "all").await;
        Ok::<_, Error>(())
    };
    at(1).await?;
    let chance = (wf.random().await? * 1000.0) as u64;
    at(2).await?;
    let one = wf.execute(leg(1)).await?;
    at(3).await?;
    let step = wf.step("noted", || async { stage.note("step", "noted", &context).map(|()| 7) }).await?;
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

/// Two forms of one workflow, as of two versions of a program.
#[workflow]
pub async fn versioned(#[inject] wf: Workflow, #[inject] stage: State<Stage>) -> Result<u64> {
    let one = wf.execute(leg(1)).await?;
    if std::env::var_os(VERSION).is_some() {
        wf.step("added", || async { Ok::<_, Error>(()) }).await?;
    }
    let two = wf.execute(leg(2)).await?;
    stage.pass("versioned").await;
    Ok(one + two)
}

/// The variable that makes a worker one of a later version.
pub const VERSION: &str = "PYNENC_TESTS_VERSION";

/// The variable that makes a worker one of an earlier version, which hasn't yet the task `leg`.
pub const WITHOUT_LEG: &str = "PYNENC_TESTS_WITHOUT_LEG";

/// An app with these tasks, set up by the environment.
pub fn builder(stage: Stage) -> PynencBuilder {
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
    Pynenc::builder().without_config_file().without_linked_tasks().tasks(tasks).state(stage)
}

/// The id of a task.
pub fn id_of<T: Task>() -> TaskId {
    T::definition().name.into()
}
