//! Cancels invocations, and the calls that they wait for or have made.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use pynenc_core::orchestrator::CancelReply;
use pynenc_core::reads;
use pynenc_core::{InvocationId, QueueName};
use rustc_hash::FxHashSet;

use crate::engine::{Engine, StatusChange};
use crate::error::{Error, Result};

/// The number of parents whose children are read concurrently.
const READS: usize = 16;

/// The children that are cancelled with an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    OnlyThis,
    Awaited,
    AllChildren,
}

/// A cancel of one invocation, performed when awaited. See [`Engine::cancel`].
#[derive(Debug)]
#[must_use = "a cancel does nothing until it is awaited"]
pub struct Cancel(CancelAll);

/// A cancel of many invocations, performed when awaited. See [`Engine::cancel_all`].
#[derive(Debug)]
#[must_use = "a cancel does nothing until it is awaited"]
pub struct CancelAll {
    engine: Engine,
    ids: Vec<InvocationId>,
    reach: Reach,
}

impl Cancel {
    /// Doesn't cancel the invocation's children.
    pub fn only_this(self) -> Self {
        Self(self.0.only_these())
    }

    /// Cancels all children that the invocation has submitted, and not only the awaited ones.
    pub fn with_children(self) -> Self {
        Self(self.0.with_children())
    }
}

impl CancelAll {
    /// Doesn't cancel the invocations' children.
    pub fn only_these(self) -> Self {
        Self { reach: Reach::OnlyThis, ..self }
    }

    /// Cancels all children that the invocations have submitted, and not only the awaited ones.
    pub fn with_children(self) -> Self {
        Self { reach: Reach::AllChildren, ..self }
    }

    /// Cancels parents before their children: a child that finishes before its parent is cancelled would let the parent
    /// resume.
    async fn run(self) -> Result<Vec<Result<bool>>> {
        let Self { engine, ids, reach } = self;
        let mut seen: FxHashSet<_> = ids.iter().copied().collect();
        let mut children = engine.children_to_cancel(&ids, reach).await?;
        let results = engine.cancel_only(&ids).await?;
        loop {
            children.retain(|child| seen.insert(*child));
            if children.is_empty() {
                return Ok(results);
            }
            let grandchildren = engine.children_to_cancel(&children, reach).await?;
            engine.cancel_only(&children).await?;
            children = grandchildren;
        }
    }
}

impl IntoFuture for Cancel {
    type Output = Result<bool>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.0.run().await?.pop().expect("every id has a result") })
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
    /// Cancels an invocation. Returns `true` if the invocation has finished: it was cancelled now, or had finished
    /// before. Returns `false` if a runner owns it and was asked to stop it.
    ///
    /// An invocation that no runner owns is cancelled at once. Otherwise its runner drops an `async` task function, and
    /// a plain one sees the cancel in [`is_cancelled`](crate::TaskContext::is_cancelled).
    ///
    /// Calls that the task function awaits are cancelled with it, and the calls that these await in turn. Calls that it
    /// has only submitted continue, unless you ask for [`Cancel::with_children`]. A workflow's children are always
    /// cancelled with it.
    ///
    /// The calls to cancel are determined before the invocation itself is cancelled. A call that the task function
    /// makes between these two steps isn't cancelled.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`]; [`Error::Unavailable`], after which cancelling again is safe.
    ///
    /// # Cancel safety
    ///
    /// A dropped cancel may have cancelled only some of the invocations.
    pub fn cancel(&self, id: InvocationId) -> Cancel {
        Cancel(self.cancel_all(&[id]))
    }

    /// Cancels many invocations, in batches. Returns a result as [`Engine::cancel`] for each id, in the order of the
    /// ids.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], after which cancelling again is safe.
    pub fn cancel_all(&self, ids: &[InvocationId]) -> CancelAll {
        CancelAll { engine: self.clone(), ids: ids.to_vec(), reach: Reach::Awaited }
    }

    async fn children_to_cancel(&self, ids: &[InvocationId], reach: Reach) -> Result<Vec<InvocationId>> {
        let parts = self.parts();
        match reach {
            Reach::OnlyThis => Ok(Vec::new()),
            Reach::AllChildren => {
                let reads: Vec<_> = ids.iter().map(|id| reads::children(&*parts.state, *id)).collect();
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
        self.after_cancel(&cancelled).await?;
        Ok(results)
    }

    /// Notifies extensions of the cancelled invocations, and removes their hints. A hint that isn't due would otherwise
    /// stay in the queue until then.
    async fn after_cancel(&self, ids: &[InvocationId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut hinted: BTreeMap<QueueName, Vec<InvocationId>> = BTreeMap::new();
        for tracked in self.parts().orchestrator.records(ids).await?.into_iter().flatten() {
            self.changed(&StatusChange::of(&tracked));
            hinted.entry(tracked.queue).or_default().push(tracked.id);
        }
        for (queue, ids) in hinted {
            if let Err(error) = self.parts().broker.remove(&queue, &ids).await {
                tracing::debug!(%error, "hints of cancelled invocations stay until a runner pops them");
            }
        }
        Ok(())
    }
}
