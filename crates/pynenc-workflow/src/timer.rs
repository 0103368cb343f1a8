//! Sleeps that survive restarts.

use std::time::Duration;

use pynenc_engine::Result;

use crate::operation::{Operation, OperationEnd};
use crate::operation_kind;
use crate::replay::DurableWait;

pub(crate) async fn sleep(operation: Operation, duration: Duration) -> Result<()> {
    let started = operation.once(|| operation.encoded(&duration)).await?;
    if !matches!(operation.end().await, OperationEnd::Open) {
        return Ok(());
    }
    let until = started.at + duration;
    let (clock, local) = (&operation.run.engine().parts().clock, operation.run.replay().local(until));
    operation.wait(DurableWait { until: Some(until), event: None }, clock.sleep_until(local)).await;
    // The next run has to know which of the concurrent operations completed first.
    if operation.is_concurrent() {
        operation.record_end(operation_kind::SLEPT, operation.encoded(&())?).await?;
    }
    Ok(())
}
