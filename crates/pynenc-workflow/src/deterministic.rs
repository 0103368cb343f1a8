//! Random numbers, UUIDs and times that are the same in each run.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pynenc_core::Timestamp;
use pynenc_engine::Result;
use uuid::Uuid;

use crate::operation::Operation;

pub(crate) async fn random(operation: Operation) -> Result<f64> {
    let number = || {
        let (high, _) = derived(&operation).as_u64_pair();
        operation.encoded(&((high >> 11) as f64 / (1_u64 << 53) as f64))
    };
    operation.value(&operation.once(number).await?)
}

pub(crate) async fn uuid(operation: Operation) -> Result<Uuid> {
    let uuid = || operation.encoded(&derived(&operation));
    operation.value(&operation.once(uuid).await?)
}

pub(crate) async fn now(operation: Operation) -> Result<SystemTime> {
    let now = || {
        let local = operation.run.engine().parts().clock.now();
        let now = operation.run.replay().in_store(local);
        operation.encoded(&now)
    };
    let now: Timestamp = operation.value(&operation.once(now).await?)?;
    Ok(UNIX_EPOCH + Duration::from_millis(now.as_millis()))
}

/// Derives random bits from the journal and the position, so that a run that crashes before they are recorded derives
/// the same.
fn derived(operation: &Operation) -> Uuid {
    let mixed = Uuid::new_v5(&operation.run.replay().origin.as_uuid(), operation.position.as_bytes());
    // A name-based UUID has six fixed bits, which a second UUID fills in.
    let second = Uuid::new_v5(&mixed, b"random");
    let (high, low) = (mixed.as_u128(), second.as_u128());
    uuid::Builder::from_random_bytes((high ^ low.rotate_left(61)).to_be_bytes()).into_uuid()
}
