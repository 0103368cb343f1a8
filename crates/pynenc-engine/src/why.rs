//! Why an invocation isn't running, in one sentence.

use std::fmt;
use std::time::Duration;

use pynenc_core::orchestrator::{Inspected, RunnerInfo};
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, TaskId, Timestamp};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// What an invocation waits for, or what has become of it. As text it is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It is ready, and a runner takes it in its turn.
    Queued {
        /// Its queue.
        queue: QueueName,
        /// How many are given out before it.
        before: u64,
        /// How many living runners may take it.
        runners: u64,
        /// How many bodies these run at once.
        slots: u64,
        /// How many invocations they own.
        owned: u64,
    },
    /// It is ready, and no hint of it is in the queue: it is being claimed now, or the next sweep brings its hint.
    NotHinted {
        /// Its queue.
        queue: QueueName,
        /// How long until the sweep, at most.
        sweep: Duration,
    },
    /// No runner lives.
    NoRunner,
    /// No runner takes work from its queue.
    QueueNotServed {
        /// Its queue.
        queue: QueueName,
        /// The queues that runners serve.
        served: Vec<QueueName>,
    },
    /// No runner that serves its queue knows its task.
    TaskNotKnown {
        /// Its task.
        task: TaskId,
        /// How many living runners serve its queue.
        runners: u64,
    },
    /// It isn't due yet.
    Due {
        /// When it is, by the store's clock.
        at: Timestamp,
        /// How long that is from now.
        remaining: Duration,
        /// Whether an attempt failed before.
        is_retry: bool,
    },
    /// Its body has put it aside until something comes that has no time.
    PutAside,
    /// Every slot of its concurrency key is taken.
    Parked {
        /// Those who have the slots; at most 100 of them.
        holders: Vec<InvocationId>,
        /// How many slots there are.
        limit: u32,
        /// How many are parked before it.
        before: u64,
    },
    /// A runner has claimed it, and hasn't begun its body.
    Claimed {
        /// The runner.
        runner: RunnerId,
    },
    /// Its body runs.
    Running {
        /// The runner.
        runner: RunnerId,
        /// How long it has run without a break.
        length: Duration,
        /// Whether its end was asked for.
        cancel_requested: bool,
    },
    /// Its body waits for other invocations.
    Paused {
        /// Those that it waits for; at most 100 of them.
        on: Vec<InvocationId>,
    },
    /// Its runner's lease is over, and it is given to another one.
    OwnerLost {
        /// The runner.
        runner: RunnerId,
        /// How long the runner has been silent.
        silence: Duration,
        /// Whether another runner lives that could take it.
        is_recoverable: bool,
    },
    /// It has ended.
    Finished {
        /// How.
        status: Status,
        /// Why.
        reason: Reason,
        /// What its history says beyond the reason.
        detail: Option<Box<str>>,
    },
}

impl Engine {
    /// Tells why an invocation isn't running, or what it does.
    ///
    /// ```
    /// # async fn ask(app: pynenc_engine::Engine, id: pynenc_core::InvocationId) -> pynenc_engine::Result<()> {
    /// use pynenc_engine::Why;
    ///
    /// let why = app.why(id).await?;
    /// println!("{why}"); // its concurrency key has 2 slots, taken by …
    /// if let Why::Parked { holders, .. } = why {
    ///     app.cancel_all(&holders).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`], [`Error::Unavailable`].
    pub async fn why(&self, id: InvocationId) -> Result<Why> {
        let inspected = self.parts().orchestrator.inspect(&[id]).await?.pop().flatten();
        let inspected = inspected.ok_or(Error::InvocationNotFound(id))?;
        let record = &inspected.tracked.record;
        match record.status {
            status if status.is_final() => self.finished(&inspected).await,
            Status::ConcurrencyControlled => Ok(parked(inspected)),
            Status::Scheduled if record.due.is_none() => Ok(Why::PutAside),
            status if status.is_owned() => self.owned(inspected).await,
            status => match record.due.filter(|due| *due > inspected.now) {
                Some(at) => {
                    let remaining = at.since(inspected.now);
                    Ok(Why::Due { at, remaining, is_retry: status == Status::Retry })
                }
                None => self.ready(&inspected).await,
            },
        }
    }

    async fn finished(&self, inspected: &Inspected) -> Result<Why> {
        let history = self.parts().orchestrator.history(inspected.tracked.id).await?;
        let detail = history.into_iter().next_back().and_then(|line| line.detail);
        let record = &inspected.tracked.record;
        Ok(Why::Finished { status: record.status, reason: record.reason, detail })
    }

    async fn owned(&self, inspected: Inspected) -> Result<Why> {
        let (record, now) = (&inspected.tracked.record, inspected.now);
        let runner = record.owner.ok_or_else(|| pynenc_core::Error::corrupt("what is owned has no owner"))?;
        let runners = self.parts().orchestrator.runners().await?;
        if let Some(lost) = runners.iter().find(|info| info.id == runner && !info.is_alive(now)) {
            let is_recoverable = runners.iter().any(|info| info.is_alive(now));
            return Ok(Why::OwnerLost { runner, silence: now.since(lost.last_heartbeat), is_recoverable });
        }
        Ok(match record.status {
            Status::Paused => Why::Paused { on: inspected.awaits },
            Status::Pending => Why::Claimed { runner },
            _ => Why::Running { runner, length: now.since(record.at), cancel_requested: record.cancel_requested },
        })
    }

    async fn ready(&self, inspected: &Inspected) -> Result<Why> {
        let (queue, task) = (&inspected.tracked.queue, &inspected.tracked.task);
        let mut runners = self.parts().orchestrator.runners().await?;
        runners.retain(|info| info.is_alive(inspected.now));
        if runners.is_empty() {
            return Ok(Why::NoRunner);
        }
        let served = served(&runners);
        runners.retain(|info| info.introduction.as_ref().is_none_or(|it| it.queues.contains(queue)));
        if runners.is_empty() {
            return Ok(Why::QueueNotServed { queue: queue.clone(), served });
        }
        let serving = runners.len() as u64;
        runners.retain(|info| info.introduction.as_ref().is_none_or(|it| it.tasks.contains(task)));
        if runners.is_empty() {
            return Ok(Why::TaskNotKnown { task: task.clone(), runners: serving });
        }
        match self.parts().broker.place(queue, inspected.tracked.id).await? {
            Some(before) => Ok(queued(queue.clone(), before, &runners)),
            None => Ok(Why::NotHinted { queue: queue.clone(), sweep: self.settings().runner.sweep_interval }),
        }
    }
}

fn parked(inspected: Inspected) -> Why {
    Why::Parked {
        holders: inspected.holders,
        limit: inspected.registration.running.map_or(1, |running| running.limit),
        before: inspected.parked_before.unwrap_or_default(),
    }
}

fn queued(queue: QueueName, before: u64, runners: &[RunnerInfo]) -> Why {
    let slots = runners.iter().filter_map(|info| info.introduction.as_ref()).map(|it| it.slots).sum();
    let owned = runners.iter().map(|info| info.owned).sum();
    Why::Queued { queue, before, runners: runners.len() as u64, slots, owned }
}

/// The queues that somebody serves, each once.
fn served(runners: &[RunnerInfo]) -> Vec<QueueName> {
    let named = runners.iter().filter_map(|info| info.introduction.as_ref()).flat_map(|it| &it.queues);
    let mut queues: Vec<_> = named.cloned().collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { queue, before: 0, runners, .. } => {
                write!(f, "it is next in the queue `{queue}`, which {} serving", are(*runners, "runner"))
            }
            Self::Queued { queue, before, runners, slots, owned } => write!(
                f,
                "{} before it in the queue `{queue}`, which {} serving: {slots} slots, {owned} invocations claimed",
                are(*before, "other"),
                are(*runners, "runner"),
            ),
            Self::NotHinted { queue, sweep } => write!(
                f,
                "it is ready, and being claimed or without a hint in the queue `{queue}`; a sweep brings that within {}",
                plain(*sweep)
            ),
            Self::NoRunner => f.write_str("no runner is alive; start one with `worker`"),
            Self::QueueNotServed { queue, served } => {
                write!(f, "no runner serves its queue `{queue}`; those that live serve {}", listed(served))
            }
            Self::TaskNotKnown { task, runners } => write!(
                f,
                "no runner knows its task `{task}`; {} alive on its queue, and none has the code linked",
                are(*runners, "runner")
            ),
            Self::Due { remaining, is_retry: false, .. } => write!(f, "it is due in {}", plain(*remaining)),
            Self::Due { remaining, is_retry: true, .. } => {
                write!(f, "an attempt failed, and it runs again in {}", plain(*remaining))
            }
            Self::PutAside => f.write_str("its body has put it aside until what it waits for comes"),
            Self::Parked { holders, limit, before } => write!(
                f,
                "its concurrency key has {limit} slots, taken by {}, and {} in line before it",
                listed(holders),
                are(*before, "other")
            ),
            Self::Claimed { runner } => write!(f, "runner {runner} has claimed it and is about to run it"),
            Self::Running { runner, length, cancel_requested: false } => {
                write!(f, "its body has been running for {} on runner {runner}", plain(*length))
            }
            Self::Running { runner, length, cancel_requested: true } => write!(
                f,
                "its end was asked for, and its body on runner {runner}, which has run for {}, hasn't ended yet",
                plain(*length)
            ),
            Self::Paused { on } if on.is_empty() => f.write_str("its body goes on: what it waited for has ended"),
            Self::Paused { on } => write!(f, "its body waits for {}", listed(on)),
            Self::OwnerLost { runner, silence, is_recoverable: true } => write!(
                f,
                "runner {runner}, which had it, was last heard {} ago; another one takes it over",
                plain(*silence)
            ),
            Self::OwnerLost { runner, silence, is_recoverable: false } => write!(
                f,
                "runner {runner}, which had it, was last heard {} ago, and no other is alive to take it over",
                plain(*silence)
            ),
            Self::Finished { status, reason, detail: None } => write!(f, "it has ended as {status} ({reason})"),
            Self::Finished { status, reason, detail: Some(detail) } => {
                write!(f, "it has ended as {status} ({reason}): {detail}")
            }
        }
    }
}

/// A count with its noun and its verb.
fn are(count: u64, noun: &str) -> String {
    match count {
        0 => format!("no {noun} is"),
        1 => format!("1 {noun} is"),
        _ => format!("{count} {noun}s are"),
    }
}

/// The first few, and how many there are beyond.
fn listed<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    match items.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", shown.join(", "), count - SHOWN),
        _ => shown.join(", "),
    }
}

/// A length of time in whole seconds, or in milliseconds if it is short.
fn plain(length: Duration) -> humantime::FormattedDuration {
    let whole = if length.as_secs() < 10 { length.as_millis() } else { u128::from(length.as_secs()) * 1000 };
    humantime::format_duration(Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(why: &Why, sentence: &str) {
        assert_eq!(why.to_string(), sentence);
    }

    #[test]
    fn each_reason_is_one_sentence() {
        let queued = |before, runners| Why::Queued { queue: "gpu".into(), before, runners, slots: 64, owned: 64 };
        check(&queued(0, 1), "it is next in the queue `gpu`, which 1 runner is serving");
        check(
            &queued(7, 2),
            "7 others are before it in the queue `gpu`, which 2 runners are serving: 64 slots, 64 invocations claimed",
        );
        let due = |is_retry| Why::Due { at: Timestamp::default(), remaining: Duration::from_millis(61_234), is_retry };
        check(&due(false), "it is due in 1m 1s");
        check(&due(true), "an attempt failed, and it runs again in 1m 1s");
        let served = vec!["a".into(), "b".into(), "c".into(), "d".into()];
        check(
            &Why::QueueNotServed { queue: "gpu".into(), served },
            "no runner serves its queue `gpu`; those that live serve a, b, c and 1 more",
        );
    }

    #[test]
    fn programs_read_the_reason_by_its_name() {
        let json = serde_json::to_value(Why::TaskNotKnown { task: "a::b".into(), runners: 2 }).unwrap();
        assert_eq!(json, serde_json::json!({"why": "task_not_known", "task": "a::b", "runners": 2}));
    }
}
