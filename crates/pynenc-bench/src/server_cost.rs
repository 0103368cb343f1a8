//! The server's work for whole lifecycles in batches, beside the bare minimum.

use std::sync::Arc;
use std::time::Duration;

use pynenc::prelude::*;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{Claim, ClaimReply, Tracked, Transition};
use pynenc_core::record::{Argument, InvocationRecord, Outcome, Payload, Priority, Registration};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{InvocationId, Lane, Reason, RunnerId, Timestamp};

use crate::backend::{Backend, Work};
use crate::bare_minimum::{BareMinimum, Id, Owner};
use crate::measurement::Measurement;

/// The size of a batch. A worker with 64 slots makes batches of this size.
const BATCH: usize = 64;
const BATCHES: usize = 500;
/// A value as bytes of JSON.
const VALUE: &[u8] = b"1234";
/// The size of the stored record of `submission`, so that the bare scripts store as much.
const CALL: [u8; 87] = [b'x'; 87];

/// The server's work for each step, in microseconds for each invocation.
struct Costs {
    submit: Work,
    take: Work,
    settle: Work,
}

impl Costs {
    fn all(&self) -> Work {
        self.submit + self.take + self.settle
    }
}

/// The server's time for submitting, taking and settling an invocation, for this system and for bare scripts.
pub(crate) async fn lifecycle(backend: &Backend) -> Result<Vec<Measurement>> {
    let Backend::Redis(server, _) = backend else { unreachable!("the benchmark applies to Redis only") };
    let app = backend.app().await?;
    let mut worker = Worker::of(&app)?;
    let mut bare = BareWorker(BareMinimum::on(&server.url()).await?);
    // The first use of a script loads it.
    lifecycles(&mut worker, backend, 1).await?;
    lifecycles(&mut bare, backend, 1).await?;
    let ours = lifecycles(&mut worker, backend, BATCHES).await?;
    let bare = lifecycles(&mut bare, backend, BATCHES).await?;
    let (all, least) = (ours.all(), bare.all());
    let of = |name, value, target| Measurement { name, value, unit: "µs a call", target };
    Ok(vec![
        of("CPU", all.cpu, least.cpu),
        of("CPU, bare minimum", least.cpu, least.cpu),
        of("scripts", all.scripts, 18.0),
        of("scripts, bare minimum", least.scripts, least.scripts),
        of("submit scripts", ours.submit.scripts, bare.submit.scripts),
        of("submit scripts, bare minimum", bare.submit.scripts, bare.submit.scripts),
        of("take scripts", ours.take.scripts, bare.take.scripts),
        of("take scripts, bare minimum", bare.take.scripts, bare.take.scripts),
        of("settle scripts", ours.settle.scripts, bare.settle.scripts),
        of("settle scripts, bare minimum", bare.settle.scripts, bare.settle.scripts),
    ])
}

/// Takes the steps of lifecycles in batches.
trait Steps {
    /// Invocations that were taken.
    type Taken;

    async fn submit(&mut self, size: usize) -> Result<()>;
    async fn take(&mut self, size: usize) -> Result<Self::Taken>;
    async fn settle(&mut self, taken: &Self::Taken) -> Result<()>;
}

/// Measures each step of this many batches.
async fn lifecycles(worker: &mut impl Steps, backend: &Backend, batches: usize) -> Result<Costs> {
    let each = |before: Work| (backend.work() - before) / (batches * BATCH) as f64;
    let before = backend.work();
    for _ in 0..batches {
        worker.submit(BATCH).await?;
    }
    let submit = each(before);
    let (before, mut taken) = (backend.work(), Vec::with_capacity(batches));
    for _ in 0..batches {
        taken.push(worker.take(BATCH).await?);
    }
    let take = each(before);
    let before = backend.work();
    for batch in &taken {
        worker.settle(batch).await?;
    }
    Ok(Costs { submit, take, settle: each(before) })
}

/// Takes the steps as a runner does, without the engine.
struct Worker {
    lane: Arc<dyn Lane>,
    runner: RunnerId,
}

impl Worker {
    fn of(app: &Pynenc) -> Result<Self> {
        let parts = app.parts();
        let lane = parts.orchestrator.lane(&parts.broker, &parts.state);
        let lane = lane.ok_or_else(|| Error::other("the stores of the benchmark have no lane"))?;
        Ok(Self { lane, runner: RunnerId::new() })
    }
}

impl Steps for Worker {
    type Taken = Vec<Tracked>;

    async fn submit(&mut self, size: usize) -> Result<()> {
        for reply in self.lane.submit((0..size).map(|_| submission()).collect()).await? {
            reply?;
        }
        Ok(())
    }

    async fn take(&mut self, size: usize) -> Result<Vec<Tracked>> {
        let pop = Pop { queues: vec!["default".into()], max: size, wait: Duration::ZERO };
        let claim = Claim::new(Vec::new(), self.runner).running_below(1);
        let claimed = self.lane.claim(&claim, Some(&pop)).await?.into_iter();
        let granted =
            claimed.filter_map(|it| if let ClaimReply::Granted(tracked) = it.reply { Some(tracked) } else { None });
        let taken: Vec<_> = granted.collect();
        complete(taken.len(), size)?;
        Ok(taken)
    }

    async fn settle(&mut self, taken: &Vec<Tracked>) -> Result<()> {
        for reply in self.lane.settle(taken.iter().map(|it| settlement(it, self.runner)).collect()).await? {
            reply?;
        }
        Ok(())
    }
}

/// Fails if a step changed fewer invocations than it should. Its figure would be that of less work.
fn complete(changed: usize, size: usize) -> Result<()> {
    if changed == size { Ok(()) } else { Err(Error::other(format!("a step changed {changed} of {size} invocations"))) }
}

fn submission() -> Submission {
    let registration = Registration::new(InvocationId::new(), "shop::orders::confirm".into(), "default".into());
    let argument = |name: &'static str| Argument { name: name.into(), value: Payload::Inline(VALUE.into()) };
    let record = InvocationRecord {
        id: registration.id,
        task: registration.task.clone(),
        arguments: vec![argument("x"), argument("y")],
        serializer: "JsonSerializer".into(),
        queue: registration.queue.clone(),
        priority: Priority::default(),
        timeout: None,
        max_retries: None,
        parent: None,
        workflow: None,
        retry_of: None,
        trace: None,
        created_at: Timestamp::from_millis(1_800_000_000_000),
        due: None,
    };
    Submission { record: Arc::new(record), registration }
}

fn settlement(running: &Tracked, runner: RunnerId) -> Settlement {
    let outcome = Outcome::Value { value: Payload::Inline(VALUE.into()), serializer: "JsonSerializer".into() };
    let outcome = OutcomeWrite { id: running.id, epoch: running.record.epoch, outcome };
    let change = Change::new(Status::Success, By::Owner(runner), Reason::Returned);
    let transition = Transition { id: running.id, seen: running.record.clone(), change };
    Settlement { outcome: Some(outcome), transition, requeue: None }
}

/// Takes the steps with the bare scripts.
struct BareWorker(BareMinimum);

/// The runner and the token of every claim of the bare scripts.
const BARE_OWNER: Owner = Owner { runner: [1; 16], token: [1; 8] };

impl Steps for BareWorker {
    type Taken = Vec<Id>;

    async fn submit(&mut self, size: usize) -> Result<()> {
        let ids: Vec<Id> = (0..size).map(|_| *InvocationId::new().as_bytes()).collect();
        let stored = self.0.submit(&ids, &CALL).await?;
        complete(if stored { size } else { 0 }, size)
    }

    async fn take(&mut self, size: usize) -> Result<Vec<Id>> {
        let taken: Vec<Id> = self.0.take(BARE_OWNER, size).await?.into_iter().map(|(id, _)| id).collect();
        complete(taken.len(), size)?;
        Ok(taken)
    }

    async fn settle(&mut self, taken: &Vec<Id>) -> Result<()> {
        complete(self.0.settle(BARE_OWNER, taken, VALUE).await?, taken.len())
    }
}
