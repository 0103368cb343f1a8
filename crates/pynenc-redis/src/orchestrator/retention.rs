//! Finding and deleting invocations whose retention is over.

use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::orchestrator::Retention;
use pynenc_core::{InvocationId, Result};

use super::store::RedisOrchestrator;
use crate::arguments::{self, BATCH, decimal};
use crate::codec::millis;
use crate::script;
use crate::value::{ids, list};

#[async_trait]
impl Retention for RedisOrchestrator {
    async fn outlived(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        let arguments = [decimal(limit as u64), decimal(millis(again_after))];
        let run = || async { ids(list(self.client().run(&script::OUTLIVED, &arguments).await?)?) };
        self.client().retry_if_garbled(run).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            self.client().run(&script::FORGET, &arguments::ids(chunk)).await?;
        }
        Ok(())
    }
}
