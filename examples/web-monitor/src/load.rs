//! The customers of the shop.

use std::time::Duration;

use pynenc::prelude::*;
use tokio::time::sleep;

use crate::shop::{Order, charge, daily_report, process_order, send_mail};

const ARTICLES: [&str; 6] = ["chair", "table", "lamp", "shelf", "bed", "carpet"];

/// Submits calls until it is dropped.
pub async fn run(app: Pynenc) {
    for number in 1.. {
        if let Err(error) = order(&app, number).await {
            eprintln!("an order was refused: {error}");
        }
        sleep(Duration::from_millis(fastrand::u64(100..700))).await;
    }
}

/// One customer orders, and sometimes does more.
///
/// # Errors
///
/// A call is refused.
pub async fn order(app: &Pynenc, number: u64) -> Result<()> {
    let customer = fastrand::u32(1..30);
    let count = fastrand::usize(1..=ARTICLES.len());
    let articles = ARTICLES.iter().take(count).map(ToString::to_string).collect();
    app.submit(process_order(Order { number, customer, articles })).await?;
    if number.is_multiple_of(5) {
        // Several payments of one customer at once, so that some of them are blocked.
        app.submit_all((0..3).map(|part| charge(customer, 100 * part))).await?;
    }
    if number.is_multiple_of(8) {
        let texts = (0..20).map(|part| send_mail(part, "our new catalogue".to_owned()));
        app.submit_all(texts).await?;
    }
    if number.is_multiple_of(20) {
        app.submit(daily_report(format!("day {number}")).delay(hours(12))).await?;
    }
    Ok(())
}
