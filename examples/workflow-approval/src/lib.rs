//! How does a workflow wait for a person, for hours, without a process that waits? And for how long?
//!
//! Run with
//!
//! ```not_rust
//! cargo test -p workflow-approval
//! ```

use pynenc::prelude::*;
use serde::{Deserialize, Serialize};

/// What a person says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Who says it.
    pub by: String,
    /// Whether the expense is approved.
    pub approved: bool,
}

/// Asks for an approval.
#[task]
pub async fn ask(expense: String) -> String {
    format!("please approve {expense}")
}

// ANCHOR: workflow
/// Waits for an approval for four hours, asks again, and gives up after four more.
#[workflow]
pub async fn approve(#[inject] wf: Workflow, expense: String) -> Result<String> {
    for _ in 0..2 {
        wf.execute(ask(expense.clone())).await?;
        let wait = wf.wait_for_event::<Approval>("approval").key(&expense).within(hours(4));
        match wait.await? {
            Some(Approval { by, approved: true }) => return Ok(format!("{expense} was approved by {by}")),
            Some(Approval { by, approved: false }) => return Ok(format!("{expense} was refused by {by}")),
            None => {}
        }
    }
    Ok(format!("nobody cared about {expense}"))
}
// ANCHOR_END: workflow
