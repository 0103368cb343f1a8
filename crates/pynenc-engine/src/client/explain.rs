//! Explains in one sentence why an invocation isn't running.

use std::fmt;
use std::time::Duration;

use pynenc_core::orchestrator::{Inspection, RunnerInfo};
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, TaskId, Timestamp};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// The reason why an invocation isn't running, or its state if it runs or has finished. Its text is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// The invocation is ready and waits for its turn in the queue.
    Queued {
        /// The invocation's queue.
        queue: QueueName,
        /// How many invocations are ahead of this one in the queue.
        before: u64,
        /// How many live runners may claim the invocation.
        runners: u64,
        /// How many concurrency slots these runners have in total.
        slots: u64,
        /// How many invocations these runners own.
        owned: u64,
    },
    /// The invocation is ready, but its queue has no hint for it: a runner is claiming it, or the next sweep pushes a
    /// new hint.
    NotHinted {
        /// The invocation's queue.
        queue: QueueName,
        /// The longest time until the next sweep.
        sweep: Duration,
    },
    /// No runner is alive.
    NoRunner,
    /// No live runner serves the invocation's queue.
    QueueNotServed {
        /// The invocation's queue.
        queue: QueueName,
        /// The queues that live runners serve.
        served: Vec<QueueName>,
    },
    /// No live runner that serves the invocation's queue knows its task.
    TaskNotKnown {
        /// The invocation's task.
        task: TaskId,
        /// How many live runners serve the queue.
        runners: u64,
    },
    /// The invocation isn't due yet.
    Due {
        /// The due time, by the store's clock.
        at: Timestamp,
        /// How long it is until then.
        remaining: Duration,
        /// Whether an attempt has failed and this is the retry.
        is_retry: bool,
    },
    /// The invocation is suspended, without a due time, until an event arrives.
    #[serde(rename = "put_aside")]
    Suspended,
    /// The invocation is parked: every slot of its concurrency key is taken.
    Parked {
        /// The invocations that hold the slots; at most 100 of them.
        holders: Vec<InvocationId>,
        /// How many slots the concurrency key has.
        limit: u32,
        /// How many parked invocations are ahead of this one.
        before: u64,
    },
    /// A runner has claimed the invocation, but hasn't started its task function.
    Claimed {
        /// The runner.
        runner: RunnerId,
    },
    /// The task function is running.
    Running {
        /// The runner.
        runner: RunnerId,
        /// How long the task function has run since it last started or resumed.
        length: Duration,
        /// Whether a cancel was requested.
        cancel_requested: bool,
    },
    /// The task function waits for other invocations.
    Paused {
        /// The awaited invocations; at most 100 of them.
        on: Vec<InvocationId>,
    },
    /// The lease of the invocation's runner has expired, and recovery gives the invocation to another runner.
    OwnerLost {
        /// The lost runner.
        runner: RunnerId,
        /// How long ago the runner sent its last heartbeat.
        silence: Duration,
        /// Whether another live runner could take the invocation over.
        is_recoverable: bool,
    },
    /// The invocation has finished.
    Finished {
        /// The final status.
        status: Status,
        /// The reason for that status.
        reason: Reason,
        /// The detail in the last line of the history, such as an error message.
        detail: Option<Box<str>>,
    },
}

impl Engine {
    /// Explains why an invocation isn't running, or what it does.
    ///
    /// ```
    /// # async fn ask(app: pynenc_engine::Engine, id: pynenc_core::InvocationId) -> pynenc_engine::Result<()> {
    /// use pynenc_engine::Why;
    ///
    /// let why = app.why(id).await?;
    /// println!("{why}"); // the invocation's concurrency key has 2 slots, held by …
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
            status if status.is_final() => Ok(finished(&inspected)),
            Status::ConcurrencyControlled => Ok(parked(inspected)),
            Status::Scheduled if record.due.is_none() => Ok(Why::Suspended),
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

    async fn owned(&self, inspected: Inspection) -> Result<Why> {
        let (record, now) = (&inspected.tracked.record, inspected.now);
        let runner = record.owner.ok_or_else(|| pynenc_core::Error::corrupt("an owned invocation has no owner"))?;
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

    async fn ready(&self, inspected: &Inspection) -> Result<Why> {
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
        match self.parts().broker.queue(queue, Some(inspected.tracked.id)).await?.position {
            Some(before) => Ok(queued(queue.clone(), before, &runners)),
            None => Ok(Why::NotHinted { queue: queue.clone(), sweep: self.settings().runner.sweep_interval }),
        }
    }
}

fn finished(inspected: &Inspection) -> Why {
    let detail = inspected.history.last().and_then(|line| line.detail.clone());
    let record = &inspected.tracked.record;
    Why::Finished { status: record.status, reason: record.reason, detail }
}

fn parked(inspected: Inspection) -> Why {
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

/// The queues that the runners serve, sorted and without duplicates.
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
            Self::Queued { queue, before, runners, slots, owned } => {
                fmt_queued(f, queue, *before, *runners, *slots, *owned)
            }
            Self::NotHinted { queue, sweep } => write!(
                f,
                "the invocation is ready, but the queue `{queue}` has no hint for it: a runner is claiming it, \
                 or a sweep pushes a new hint within {}",
                rounded(*sweep)
            ),
            Self::NoRunner => f.write_str("no runner is alive; start one with `worker`"),
            Self::QueueNotServed { queue, served } => {
                write!(f, "no runner serves the queue `{queue}`; live runners serve {}", listed(served))
            }
            Self::TaskNotKnown { task, runners } => write!(
                f,
                "no runner knows the task `{task}`; {} serving its queue, but without the task's code linked",
                are(*runners, "runner")
            ),
            Self::Due { remaining, is_retry: false, .. } => {
                write!(f, "the invocation is due in {}", rounded(*remaining))
            }
            Self::Due { remaining, is_retry: true, .. } => {
                write!(f, "an attempt failed; the retry is due in {}", rounded(*remaining))
            }
            Self::Suspended => f.write_str("the invocation is suspended until an event that it waits for arrives"),
            Self::Parked { holders, limit, before } => write!(
                f,
                "the invocation's concurrency key has {}, held by {}; {} ahead of it in line",
                counted((*limit).into(), "slot"),
                listed(holders),
                are(*before, "invocation")
            ),
            Self::Claimed { runner } => write!(f, "runner {runner} has claimed the invocation and is about to run it"),
            Self::Running { runner, length, cancel_requested } => fmt_running(f, *runner, *length, *cancel_requested),
            Self::Paused { on } if on.is_empty() => {
                f.write_str("the task function is about to resume: every invocation that it waited for has finished")
            }
            Self::Paused { on } => write!(f, "the task function is waiting for {}", listed(on)),
            Self::OwnerLost { runner, silence, is_recoverable } => fmt_lost(f, *runner, *silence, *is_recoverable),
            Self::Finished { status, reason, detail } => {
                write!(f, "the invocation finished with status {status} ({reason})")?;
                detail.iter().try_for_each(|detail| write!(f, ": {detail}"))
            }
        }
    }
}

fn fmt_queued(
    f: &mut fmt::Formatter<'_>,
    queue: &QueueName,
    before: u64,
    runners: u64,
    slots: u64,
    owned: u64,
) -> fmt::Result {
    let runners = are(runners, "runner");
    if before == 0 {
        return write!(f, "the invocation is next in the queue `{queue}`, which {runners} serving");
    }
    let (before, slots, owned) = (are(before, "invocation"), counted(slots, "slot"), counted(owned, "invocation"));
    write!(f, "{before} ahead in the queue `{queue}`, which {runners} serving ({slots}, {owned} claimed)")
}

fn fmt_running(f: &mut fmt::Formatter<'_>, runner: RunnerId, length: Duration, cancel_requested: bool) -> fmt::Result {
    if cancel_requested {
        f.write_str("a cancel was requested, but the task function hasn't returned yet; it ")?;
    } else {
        f.write_str("the task function ")?;
    }
    write!(f, "has been running for {} on runner {runner}", rounded(length))
}

fn fmt_lost(f: &mut fmt::Formatter<'_>, runner: RunnerId, silence: Duration, is_recoverable: bool) -> fmt::Result {
    write!(f, "runner {runner} owned the invocation and sent its last heartbeat {} ago; ", rounded(silence))?;
    f.write_str(if is_recoverable {
        "another runner takes it over"
    } else {
        "no other runner is alive to take it over"
    })
}

/// A count with its noun and its verb.
fn are(count: u64, noun: &str) -> String {
    format!("{} {}", counted(count, noun), if count > 1 { "are" } else { "is" })
}

/// A count with its noun.
fn counted(count: u64, noun: &str) -> String {
    match count {
        0 => format!("no {noun}"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The first few items, and the number of the others.
fn listed<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    match items.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", shown.join(", "), count - SHOWN),
        _ => shown.join(", "),
    }
}

/// A duration in whole seconds, or in milliseconds if it is shorter than 10 seconds.
fn rounded(length: Duration) -> humantime::FormattedDuration {
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
    fn each_reason_is_one_readable_sentence() {
        let queued = |before, runners| Why::Queued { queue: "gpu".into(), before, runners, slots: 64, owned: 9 };
        check(&queued(0, 1), "the invocation is next in the queue `gpu`, which 1 runner is serving");
        check(
            &queued(7, 2),
            "7 invocations are ahead in the queue `gpu`, which 2 runners are serving (64 slots, 9 invocations claimed)",
        );
        let due = |is_retry| Why::Due { at: Timestamp::default(), remaining: Duration::from_millis(61_234), is_retry };
        check(&due(false), "the invocation is due in 1m 1s");
        check(&due(true), "an attempt failed; the retry is due in 1m 1s");
        let running = |cancel_requested| {
            let why = Why::Running { runner: RunnerId::new(), length: Duration::from_millis(1500), cancel_requested };
            why.to_string().split(" on runner ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(running(false), "the task function has been running for 1s 500ms");
        assert_eq!(
            running(true),
            "a cancel was requested, but the task function hasn't returned yet; it has been running for 1s 500ms"
        );
        let served = vec!["a".into(), "b".into(), "c".into(), "d".into()];
        check(
            &Why::QueueNotServed { queue: "gpu".into(), served },
            "no runner serves the queue `gpu`; live runners serve a, b, c and 1 more",
        );
    }

    #[test]
    fn the_json_form_names_the_reason() {
        let json = serde_json::to_value(Why::TaskNotKnown { task: "a::b".into(), runners: 2 }).unwrap();
        assert_eq!(json, serde_json::json!({"why": "task_not_known", "task": "a::b", "runners": 2}));
    }
}
