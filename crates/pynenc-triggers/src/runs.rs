//! The runs of triggers: their identities, and the calls they come to.

use std::collections::BTreeMap;

use pynenc_core::serializer::MsgPackSerializer;
use pynenc_core::trigger_store::{RunOutcome, TriggerRun};
use pynenc_core::{InvocationId, Serializer};
use pynenc_engine::{EncodedCall, Engine, Error, Result};

use crate::happening::Happening;
use crate::judge::{guarded, lasting};
use crate::live::{Live, LiveLeaf};
use crate::spec::Target;

/// What makes a run one and the same.
pub(crate) fn run_id(to: &LiveLeaf, happening: &Happening) -> Box<str> {
    format!("{}/{}/{}", to.trigger.id, to.leaf, happening.id()).into()
}

/// The invocation that comes of a run.
fn invocation_of(run: &str) -> InvocationId {
    const RUNS: [u8; 16] = *b"pynenc trigger  ";
    InvocationId::derived(InvocationId::from_bytes(RUNS).as_uuid(), run)
}

pub(crate) fn failed_run(to: &LiveLeaf, happening: &Happening, why: String) -> TriggerRun {
    let outcome = RunOutcome::Failed(why.into());
    new_run(&to.trigger, run_id(to, happening), happening.cause(), outcome)
}

pub(crate) fn new_run(trigger: &Live, id: Box<str>, cause: String, outcome: RunOutcome) -> TriggerRun {
    TriggerRun { id, trigger: trigger.id.clone(), cause: cause.into(), outcome, consumes: Vec::new(), slot: None }
}

/// The run of something that fires by itself.
pub(crate) async fn simple_run(engine: &Engine, to: &LiveLeaf, happening: Happening) -> Result<TriggerRun> {
    let (id, cause) = (run_id(to, &happening), happening.cause());
    let happenings = BTreeMap::from([(to.leaf, happening)]);
    let outcome = outcome(engine, &to.trigger, &id, happenings).await?;
    Ok(new_run(&to.trigger, id, cause, outcome))
}

/// What a run comes to: its call, or how the code that makes it failed.
pub(crate) async fn outcome(
    engine: &Engine,
    trigger: &Live,
    run: &str,
    happenings: BTreeMap<u32, Happening>,
) -> Result<RunOutcome> {
    let made = match lasting(guarded(make(engine, trigger, happenings)).await)? {
        Ok(call) => call,
        Err(why) => return Ok(RunOutcome::Failed(why.into())),
    };
    let call = MsgPackSerializer.encode(&made)?.into();
    Ok(RunOutcome::Call { invocation: invocation_of(run), call })
}

async fn make(engine: &Engine, trigger: &Live, mut happenings: BTreeMap<u32, Happening>) -> Result<EncodedCall> {
    match (&trigger.spec.target, trigger.code.as_ref().and_then(|code| code.make.as_ref())) {
        (_, Some(make)) => {
            let count = trigger.spec.conditions.len() as u32;
            make(engine.clone(), (0..count).map(|leaf| happenings.remove(&leaf)).collect()).await
        }
        (Target::Fixed(call), None) => Ok(EncodedCall::clone(call)),
        (Target::Made(task), None) => {
            let error = pynenc_core::Error::config("the call is made by code that this program doesn't have");
            Err(Error::Config(error.with("task", task)))
        }
    }
}
