//! How does a workflow wait hours for a person, with a timeout, while no process has to keep running?
//!
//! Run with
//!
//! ```not_rust
//! cargo test -p workflow-approval
//! ```

use pynenc::prelude::*;
use serde::{Deserialize, Serialize};

/// The answer of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The person.
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
/// Asks for an approval and waits four hours, asks again, and gives up after four more hours.
#[workflow]
pub async fn approve(#[inject] wf: Workflow, expense: String) -> Result<String> {
    for _ in 0..2 {
        // `execute` runs the task once. After a restart, the workflow gets the recorded result instead.
        wf.execute(ask(expense.clone())).await?;
        // The key selects the events of this expense. `None` means that the time is over.
        let wait = wf.wait_for_event::<Approval>("approval").key(&expense).within(hours(4));
        match wait.await? {
            Some(Approval { by, approved: true }) => return Ok(format!("{expense} was approved by {by}")),
            Some(Approval { by, approved: false }) => return Ok(format!("{expense} was refused by {by}")),
            None => {}
        }
    }
    Ok(format!("nobody answered about {expense}"))
}
// ANCHOR_END: workflow
