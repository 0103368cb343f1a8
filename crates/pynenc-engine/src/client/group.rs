//! The handles of a batch of invocations.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::Completion;
use pynenc_core::{InvocationId, StatusRecord};
use rustc_hash::FxHashMap;

use super::cancel::CancelAll;
use super::invocation::Invocation;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::task::Task;

/// The handles of a batch.
pub struct InvocationGroup<T: Task> {
    engine: Engine,
    invocations: Vec<Invocation<T>>,
    /// A stream isn't `Sync`; the lock makes the group so, and is never contended.
    completions: Option<Mutex<BoxStream<'static, Completion>>>,
}

impl<T: Task> fmt::Debug for InvocationGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationGroup").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Task> InvocationGroup<T> {
    pub(crate) fn new(engine: Engine, invocations: Vec<Invocation<T>>) -> Self {
        Self { engine, invocations, completions: None }
    }

    /// The number of invocations.
    pub fn len(&self) -> usize {
        self.invocations.len()
    }

    /// Whether the group is empty.
    pub fn is_empty(&self) -> bool {
        self.invocations.is_empty()
    }

    /// The handles, in the order of the calls.
    pub fn invocations(&self) -> &[Invocation<T>] {
        &self.invocations
    }

    /// Cancels all invocations; see [`Engine::cancel_all`]. The results are in the order of the calls.
    pub fn cancel(&self) -> CancelAll {
        self.engine.cancel_all(&self.ids())
    }

    /// Waits for all values, in the order of the calls.
    ///
    /// # Errors
    ///
    /// After all invocations have finished, the error of the first call, in the order of the calls, that has no value.
    /// Before that, [`Error::InvocationNotFound`] for an invocation that is no longer stored, and the errors of the
    /// wait itself, such as [`Error::Unavailable`] and [`Error::WaitCycle`].
    pub async fn results(&self) -> Result<Vec<T::Output>> {
        let records = self.completions().await?;
        let mut values = Vec::with_capacity(self.len());
        for invocation in &self.invocations {
            let id = invocation.id();
            let record = records.get(&id).ok_or(Error::InvocationNotFound(id))?;
            values.push(self.engine.outcome(id, record).await?);
        }
        Ok(values)
    }

    /// Waits for the next invocation to finish. Returns the invocations in the order in which they finish, and then
    /// `None`.
    ///
    /// # Errors
    ///
    /// The error of the invocation. If the wait itself fails, for example because a store is unavailable, the error
    /// comes with the id of the first call, although that invocation may not have finished. The next call of `next`
    /// waits again.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses nothing: the next call returns the completion that it waited for.
    pub async fn next(&mut self) -> Option<(InvocationId, Result<T::Output>)> {
        let ids = self.ids();
        if self.completions.is_none() {
            match self.engine.parts().orchestrator.watch(&ids).await {
                Ok(completions) => self.completions = Some(Mutex::new(completions)),
                Err(error) => return Some((*ids.first()?, Err(error.into()))),
            }
        }
        let completions = self.completions.as_mut()?.get_mut().unwrap_or_else(PoisonError::into_inner);
        let completion = match TaskContext::current_of(&self.engine) {
            Some(context) => match context.wait(&ids, async { Ok(completions.next().await) }).await {
                Ok(completion) => completion,
                Err(error) => return Some((*ids.first()?, Err(error))),
            },
            None => completions.next().await,
        };
        let (id, record) = completion?;
        Some((id, self.value(id, record).await))
    }

    async fn value(&self, id: InvocationId, record: Option<StatusRecord>) -> Result<T::Output> {
        let record = record.ok_or(Error::InvocationNotFound(id))?;
        self.engine.outcome(id, &record).await
    }

    fn ids(&self) -> Vec<InvocationId> {
        self.invocations.iter().map(Invocation::id).collect()
    }

    async fn completions(&self) -> Result<FxHashMap<InvocationId, StatusRecord>> {
        let ids = self.ids();
        let completions = self.engine.completions(&ids);
        match TaskContext::current_of(&self.engine) {
            Some(context) => context.wait(&ids, completions).await,
            None => completions.await,
        }
    }
}

impl Engine {
    /// Makes handles of invocations of one task, in this order.
    pub fn group<T: Task>(&self, ids: impl IntoIterator<Item = InvocationId>) -> InvocationGroup<T> {
        InvocationGroup::new(self.clone(), ids.into_iter().map(|id| self.invocation(id)).collect())
    }

    /// Waits until all of the invocations are finished.
    async fn completions(&self, ids: &[InvocationId]) -> Result<FxHashMap<InvocationId, StatusRecord>> {
        let mut records = FxHashMap::default();
        let mut completions = self.parts().orchestrator.watch(ids).await?;
        while let Some((id, record)) = completions.next().await {
            records.insert(id, record.ok_or(Error::InvocationNotFound(id))?);
        }
        // A watch that closes early has lost its store.
        for id in ids {
            if !records.contains_key(id) {
                records.insert(*id, self.completion(*id).await?);
            }
        }
        Ok(records)
    }
}
