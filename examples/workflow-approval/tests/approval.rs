//! Tests in virtual time: hours pass in a moment.

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use workflow_approval::{Approval, approve, ask};

/// Counts the requests for an approval.
async fn requests(app: &TestApp) -> Result<usize> {
    Ok(app.submitted::<ask>().await?.len())
}

// ANCHOR: test
#[tokio::test]
async fn a_workflow_asks_again_after_four_hours_and_continues_with_the_approval() -> Result<()> {
    let app = TestApp::new().await?;
    let workflow = app.submit(approve("a boat".to_owned())).await?;
    app.advance(minutes(239)).await;
    assert_eq!((workflow.status().await?, requests(&app).await?), (Status::Scheduled, 1));
    app.advance(minutes(2)).await;
    assert_eq!((workflow.status().await?, requests(&app).await?), (Status::Scheduled, 2));

    let approval = Approval { by: "Ana".to_owned(), approved: true };
    app.emit_event("approval", &approval).key("a plane").await?;
    app.emit_event("approval", &approval).key("a boat").await?;
    assert_eq!(workflow.result().await?, "a boat was approved by Ana");
    Ok(())
}
// ANCHOR_END: test

#[tokio::test]
async fn a_refusal_finishes_the_workflow_at_once() -> Result<()> {
    let app = TestApp::new().await?;
    let workflow = app.submit(approve("a boat".to_owned())).await?;
    app.emit_event("approval", &Approval { by: "Bea".to_owned(), approved: false }).key("a boat").await?;
    assert_eq!(workflow.result().await?, "a boat was refused by Bea");
    assert_eq!(requests(&app).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_workflow_gives_up_after_eight_hours() -> Result<()> {
    let app = TestApp::new().await?;
    let workflow = app.submit(approve("a boat".to_owned())).await?;
    app.advance(hours(9)).await;
    assert_eq!((workflow.result().await?.as_str(), requests(&app).await?), ("nobody answered about a boat", 2));
    Ok(())
}
