//! Registering, claiming, transitions, cancelling and reading.

use async_trait::async_trait;
use pynenc_core::orchestrator::{
    CancelReply, Claim, ClaimReply, Counts, Find, Inspection, Lifecycle, Registered, Tracked, Transition,
    TransitionReply,
};
use pynenc_core::page::Page;
use pynenc_core::record::Registration;
use pynenc_core::{InvocationId, Result};

use super::listing;
use super::store::RedisOrchestrator;
use crate::arguments::{self, BATCH, new_call};
use crate::decision::{self, Hint, Step};
use crate::value::values_of;
use crate::{records, replies, script};

#[async_trait]
impl Lifecycle for RedisOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        let batches = arguments::new_calls(registrations.iter().map(|registration| new_call(registration, None)))?;
        let register = || async {
            let mut registered = Vec::with_capacity(registrations.len());
            for (arguments, registrations) in batches.iter().zip(registrations.chunks(BATCH)) {
                let (time, replies) = values_of(self.client().run(&script::REGISTER, arguments).await?)?;
                for (registration, reply) in registrations.iter().zip(replies) {
                    registered.push(replies::registered(registration, &reply, time)?);
                }
            }
            Ok(registered)
        };
        self.client().retry_if_garbled(register).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        Ok(replies::claim(self.client(), claim).await?.into_iter().map(|(reply, _)| reply).collect())
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        let step = |transition| Step { transition, outcome: Vec::new(), hint: Hint::Own };
        let steps: Vec<_> = transitions.iter().map(step).collect();
        let transition = || decision::settle(self.client(), &steps);
        self.client().retry_items_if_garbled(transition).await?.into_iter().collect()
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        let items = arguments::ids(ids);
        let cancel = || async {
            let replies = self.client().run_in_chunks(&script::CANCEL, &[], &items, 1).await?;
            replies.into_iter().map(replies::cancelled).collect()
        };
        self.client().retry_if_garbled(cancel).await
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        self.client().retry_if_garbled(|| records::read(self.client(), ids)).await
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>> {
        self.client().retry_if_garbled(|| listing::inspect(self.client(), ids)).await
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        self.client().retry_if_garbled(|| listing::find(self.client(), find)).await
    }

    async fn count(&self) -> Result<Counts> {
        self.client().retry_if_garbled(|| listing::count(self.client())).await
    }
}
