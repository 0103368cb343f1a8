//! The runs of triggers: their ids, and the calls that they make.

use pynenc_core::packed::pack;
use pynenc_core::trigger_store::{RunOutcome, TriggerRun};
use pynenc_core::{InvocationId, TaskId, Timestamp};
use pynenc_engine::{EncodedCall, Engine, Error, Result};

use crate::active::ActiveTrigger;
use crate::candidate::Candidate;
use crate::failure::{catch_panic, split_permanent};
use crate::observation::Observation;
use crate::spec::Target;

/// Derives the id of the invocation that a run submits.
fn invocation_of(run: &str) -> InvocationId {
    const NAMESPACE: [u8; 16] = *b"pynenc trigger  ";
    InvocationId::derived(InvocationId::from_bytes(NAMESPACE).as_uuid(), run)
}

/// Returns the run that records a failed evaluation.
pub(crate) fn failed_run(candidate: &Candidate, error: String) -> NewRun {
    let (trigger, outcome) = (&candidate.condition.trigger, RunOutcome::Failed(error.into()));
    new_run(trigger, candidate.id(), (candidate.observation.cause(), candidate.observation.at()), outcome)
}

/// A run that may fire, with the facts that metrics show.
#[derive(Debug)]
pub(crate) struct NewRun {
    pub(crate) run: TriggerRun,
    /// The task that the trigger calls.
    pub(crate) task: TaskId,
    /// The time of the observation, or of the last one of several, by the store's clock.
    pub(crate) observed_at: Timestamp,
    /// The number of slots that were missed, if the run records them.
    pub(crate) missed: usize,
}

pub(crate) fn new_run(
    trigger: &ActiveTrigger,
    id: Box<str>,
    (cause, observed_at): (String, Timestamp),
    outcome: RunOutcome,
) -> NewRun {
    let (trigger, task) = (trigger.id.clone(), trigger.spec.target.task().clone());
    let run = TriggerRun { id, trigger, cause: cause.into(), outcome, consumes: Vec::new(), slot: None };
    NewRun { run, task, observed_at, missed: 0 }
}

/// Returns the run of an observation that fires its trigger by itself.
pub(crate) async fn simple_run(engine: &Engine, candidate: Candidate) -> Result<NewRun> {
    let (id, cause) = (candidate.id(), (candidate.observation.cause(), candidate.observation.at()));
    let Candidate { condition, observation } = candidate;
    let mut observations: Vec<_> = condition.trigger.spec.conditions.iter().map(|_| None).collect();
    if let Some(of_condition) = observations.get_mut(condition.index as usize) {
        *of_condition = Some(observation);
    }
    let outcome = outcome(engine, &condition.trigger, &id, observations).await?;
    Ok(new_run(&condition.trigger, id, cause, outcome))
}

/// Makes the outcome of a run from the observation of each condition: the call, or the error of the code that makes it.
pub(crate) async fn outcome(
    engine: &Engine,
    trigger: &ActiveTrigger,
    run: &str,
    observations: Vec<Option<Observation>>,
) -> Result<RunOutcome> {
    let call = match split_permanent(catch_panic(make_call(engine, trigger, observations)).await)? {
        Ok(call) => call,
        Err(error) => return Ok(RunOutcome::Failed(error.into())),
    };
    Ok(RunOutcome::Call { invocation: invocation_of(run), call: pack(&call).into() })
}

async fn make_call(
    engine: &Engine,
    trigger: &ActiveTrigger,
    observations: Vec<Option<Observation>>,
) -> Result<EncodedCall> {
    match (&trigger.spec.target, trigger.code.as_ref().and_then(|code| code.make_call.as_ref())) {
        (_, Some(make_call)) => make_call(engine.clone(), observations).await,
        (Target::Fixed(call), None) => Ok(EncodedCall::clone(call)),
        (Target::Made(task), None) => {
            let error = pynenc_core::Error::config("this program doesn't have the code that makes the trigger's call");
            Err(Error::Config(error.with("task", task)))
        }
    }
}
