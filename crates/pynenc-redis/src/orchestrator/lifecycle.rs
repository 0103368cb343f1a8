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
use crate::arguments::{self, BATCH};
use crate::{replies, script};

#[async_trait]
impl Lifecycle for RedisOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        let items = registrations.iter().map(arguments::registration).collect::<Result<Vec<_>>>()?;
        let register = || async {
            let replies = self.client().run_in_chunks(&script::REGISTER, &[], &items, 1).await?;
            registrations.iter().zip(replies).map(|(item, reply)| replies::registered(item, reply)).collect()
        };
        self.client().retry_if_garbled(register).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        let claim_in_chunks = || async {
            let mut replies = Vec::with_capacity(claim.ids.len());
            for ids in claim.ids.chunks(BATCH) {
                let reply = self.client().run(&script::CLAIM, &arguments::claim(claim, ids)).await?;
                let claims = replies::claims(reply, claim.runner)?;
                replies.extend(ids.iter().zip(claims).map(|(id, reply)| replies::claimed(*id, reply)));
            }
            Ok(replies)
        };
        let replies = self.client().retry_items_if_garbled(claim_in_chunks).await?.into_iter().zip(&claim.ids);
        replies.map(|(reply, id)| reply.or_else(|error| replies::gone_if_corrupt(*id, error))).collect()
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        let items: Vec<_> = transitions.iter().map(arguments::transition).collect();
        let transition = || async {
            let replies = self.client().run_in_chunks(&script::TRANSITION, &[], &items, 1).await?;
            transitions.iter().zip(replies).map(|(item, reply)| replies::transitioned(item, reply)).collect()
        };
        self.client().retry_if_garbled(transition).await
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
        self.client().retry_if_garbled(|| listing::records(self.client(), ids)).await
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
