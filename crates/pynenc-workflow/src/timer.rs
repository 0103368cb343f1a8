//! Sleep that survives restarts.

use std::time::Duration;

use pynenc_engine::Result;

use crate::kind;
use crate::operation::{Ended, Operation};
use crate::replay::Wait;

pub(crate) async fn sleep(operation: Operation, duration: Duration) -> Result<()> {
    let began = operation.once(|| operation.encoded(&duration)).await?;
    if !matches!(operation.ended().await, Ended::Open) {
        return Ok(());
    }
    let until = began.at + duration;
    let (clock, local) = (&operation.run.engine().parts().clock, operation.run.replay().local(until));
    operation.wait(Wait { until: Some(until), event: None }, clock.sleep_until(local)).await;
    // Beside something else, which of them came first has to be told in the next run.
    if operation.has_company() {
        operation.record_end(kind::SLEPT, operation.encoded(&())?).await?;
    }
    Ok(())
}
