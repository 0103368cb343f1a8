//! The sweep: queued invocations whose hints were lost get new ones.

use pynenc_core::QueueName;
use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Find, Tracked};

use super::state::Worker;
use crate::engine::Engine;
use crate::error::Result;

/// The maximum number of invocations in one step.
const BATCH: usize = 500;
/// The maximum number of steps in one sweep. A step may find nothing among thousands of finished invocations.
const STEPS: usize = 20;

impl Worker {
    /// The sweep: pushes hints for queued invocations again, in queues that have fewer hints than queued invocations.
    pub async fn sweep(&self, engine: &Engine) -> Result<()> {
        let short = queues_short_of_hints(engine).await?;
        if short.is_empty() {
            self.progress().sweep = None;
            return Ok(());
        }
        for _ in 0..STEPS {
            let (after, queued_for) = (self.progress().sweep, Some(self.settings.sweep_interval));
            let find = Find { queued_for, after, limit: BATCH, ..Find::default() };
            let page = engine.parts().orchestrator.find(&find).await?;
            let hints: Vec<Message> =
                page.items.iter().filter(|item| short.contains(&item.queue)).map(Tracked::message).collect();
            engine.hint(&hints).await;
            self.progress().sweep = page.next;
            if page.next.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// The queues that have fewer hints than queued invocations.
async fn queues_short_of_hints(engine: &Engine) -> Result<Vec<QueueName>> {
    let queued = engine.parts().orchestrator.count().await?.queued;
    let mut short = Vec::new();
    for (queue, count) in queued {
        let held = engine.parts().broker.queue(&queue, None).await?;
        if count > held.ready + held.delayed {
            short.push(queue);
        }
    }
    Ok(short)
}
