//! Asking for the end of invocations, and of what they have called.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use pynenc_core::orchestrator::CancelReply;
use pynenc_core::{InvocationId, QueueName};
use rustc_hash::FxHashSet;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Changed;

/// The children of so many parents are read at once.
const READS: usize = 16;

/// Which children are asked to end with an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    OnlyThis,
    Awaited,
    AllChildren,
}

/// The cancel of one invocation, made when it is awaited. See [`Engine::cancel`].
#[derive(Debug)]
#[must_use = "nothing is cancelled before it is awaited"]
pub struct Cancel(CancelAll);

/// The cancel of many invocations, made when it is awaited. See [`Engine::cancel_all`].
#[derive(Debug)]
#[must_use = "nothing is cancelled before it is awaited"]
pub struct CancelAll {
    engine: Engine,
    ids: Vec<InvocationId>,
    reach: Reach,
}

impl Cancel {
    /// Leaves alone what it has called.
    pub fn only_this(self) -> Self {
        Self(self.0.only_these())
    }

    /// Cancels what it has submitted too, and not only what it waits for.
    pub fn with_children(self) -> Self {
        Self(self.0.with_children())
    }
}

impl CancelAll {
    /// Leaves alone what they have called.
    pub fn only_these(self) -> Self {
        Self { reach: Reach::OnlyThis, ..self }
    }

    /// Cancels what they have submitted too, and not only what they wait for.
    pub fn with_children(self) -> Self {
        Self { reach: Reach::AllChildren, ..self }
    }

    /// Parents first: a child that ends before its parent is told would have the parent go on.
    async fn run(self) -> Result<Vec<Result<bool>>> {
        let Self { engine, ids, reach } = self;
        let mut seen: FxHashSet<_> = ids.iter().copied().collect();
        let mut children = engine.called_by(&ids, reach).await?;
        let results = engine.cancel_only(&ids).await?;
        loop {
            children.retain(|child| seen.insert(*child));
            if children.is_empty() {
                return Ok(results);
            }
            let below = engine.called_by(&children, reach).await?;
            engine.cancel_only(&children).await?;
            children = below;
        }
    }
}

impl IntoFuture for Cancel {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.0.run().await?.pop().expect("each id has a result") })
    }
}

impl IntoFuture for CancelAll {
    type Output = Result<Vec<Result<bool>>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl Engine {
    /// Asks for the end of an invocation. Tells whether it has ended, now or before.
    ///
    /// A waiting invocation is cancelled at once. A running one is told: an `async` body is dropped, and a plain one sees it
    /// in `is_cancelled`. The calls that its body awaits are cancelled with it, and the calls that those await in turn. Calls
    /// that it has only submitted go on, unless [`Cancel::with_children`] is asked for. A call that the body makes after its
    /// calls were read, and before it learns of the cancel, isn't cancelled. A workflow's children are always cancelled with it.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`]; [`Error::Unavailable`], where asking again is safe.
    ///
    /// # Cancel safety
    ///
    /// A dropped cancel may have reached some of the children.
    pub fn cancel(&self, id: InvocationId) -> Cancel {
        Cancel(self.cancel_all(&[id]))
    }

    /// Asks for the end of many invocations, in batches. Each has a result of its own, in the order of the ids, as that of
    /// [`Engine::cancel`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]; asking again is safe.
    pub fn cancel_all(&self, ids: &[InvocationId]) -> CancelAll {
        CancelAll { engine: self.clone(), ids: ids.to_vec(), reach: Reach::Awaited }
    }

    async fn called_by(&self, ids: &[InvocationId], reach: Reach) -> Result<Vec<InvocationId>> {
        let parts = self.parts();
        match reach {
            Reach::OnlyThis => Ok(Vec::new()),
            Reach::AllChildren => {
                let reads: Vec<_> = ids.iter().map(|id| parts.state.children(*id)).collect();
                Ok(stream::iter(reads).buffered(READS).try_collect::<Vec<_>>().await?.concat())
            }
            Reach::Awaited => {
                let inspected = parts.orchestrator.inspect(ids).await?;
                let awaited: Vec<_> = inspected.into_iter().flatten().flat_map(|inspected| inspected.awaits).collect();
                if awaited.is_empty() {
                    return Ok(awaited);
                }
                let parents: FxHashSet<_> = ids.iter().copied().collect();
                let records = parts.state.invocations(&awaited).await?.into_iter().flatten();
                let is_called = |parent: Option<InvocationId>| parent.is_some_and(|parent| parents.contains(&parent));
                Ok(records.filter(|record| is_called(record.parent)).map(|record| record.id).collect())
            }
        }
    }

    async fn cancel_only(&self, ids: &[InvocationId]) -> Result<Vec<Result<bool>>> {
        let replies = self.parts().orchestrator.cancel(ids).await?;
        let (mut results, mut cancelled, mut hints) = (Vec::with_capacity(ids.len()), Vec::new(), Vec::new());
        for (id, reply) in ids.iter().zip(replies) {
            results.push(match reply {
                CancelReply::Cancelled { handed } => {
                    hints.extend(handed);
                    cancelled.push(*id);
                    Ok(true)
                }
                CancelReply::Final(_) => Ok(true),
                CancelReply::Requested => Ok(false),
                CancelReply::Missing => Err(Error::InvocationNotFound(*id)),
            });
        }
        self.hint(&hints).await;
        self.tell_of_cancelled(&cancelled).await?;
        Ok(results)
    }

    /// Tells extensions of what was cancelled, and takes its hints back: that of a far due time would be there until then.
    async fn tell_of_cancelled(&self, ids: &[InvocationId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut hinted: BTreeMap<QueueName, Vec<InvocationId>> = BTreeMap::new();
        for tracked in self.parts().orchestrator.records(ids).await?.into_iter().flatten() {
            self.changed(&Changed { id: tracked.id, task: &tracked.task, record: &tracked.record });
            hinted.entry(tracked.queue).or_default().push(tracked.id);
        }
        for (queue, ids) in hinted {
            if let Err(error) = self.parts().broker.remove(&queue, &ids).await {
                tracing::debug!(%error, "hints of what was cancelled are left until they are given out");
            }
        }
        Ok(())
    }
}
