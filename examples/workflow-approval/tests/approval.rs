//! Hours pass in a moment, and the body is in no memory meanwhile.

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use workflow_approval::{Approval, approve, ask};

async fn asked(app: &TestApp) -> Result<usize> {
    Ok(app.submitted::<ask>().await?.len())
}

// ANCHOR: test
#[tokio::test]
async fn an_approval_is_waited_for_and_asked_for_again() -> Result<()> {
    let app = TestApp::new().await?;
    let waiting = app.submit(approve("a boat".to_owned())).await?;
    app.advance(minutes(239)).await;
    assert_eq!((waiting.status().await?, asked(&app).await?), (Status::Scheduled, 1));
    app.advance(minutes(2)).await;
    assert_eq!((waiting.status().await?, asked(&app).await?), (Status::Scheduled, 2));

    let approval = Approval { by: "Ana".to_owned(), approved: true };
    app.emit_event("approval", &approval).key("a plane").await?;
    app.emit_event("approval", &approval).key("a boat").await?;
    assert_eq!(waiting.result().await?, "a boat was approved by Ana");
    Ok(())
}
// ANCHOR_END: test

#[tokio::test]
async fn a_refusal_ends_the_wait_at_once() -> Result<()> {
    let app = TestApp::new().await?;
    let waiting = app.submit(approve("a boat".to_owned())).await?;
    app.emit_event("approval", &Approval { by: "Bea".to_owned(), approved: false }).key("a boat").await?;
    assert_eq!(waiting.result().await?, "a boat was refused by Bea");
    assert_eq!(asked(&app).await?, 1);
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_ever() -> Result<()> {
    let app = TestApp::new().await?;
    let waiting = app.submit(approve("a boat".to_owned())).await?;
    app.advance(hours(9)).await;
    assert_eq!((waiting.result().await?.as_str(), asked(&app).await?), ("nobody cared about a boat", 2));
    Ok(())
}
