//! The tasks of the shop: fast and slow ones, ones that fail, limited ones, a workflow, and ones with triggers.

use std::time::Duration;

use pynenc::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// A customer's order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The number of the order.
    pub number: u64,
    /// The customer who pays.
    pub customer: u32,
    /// The names of the articles.
    pub articles: Vec<String>,
}

/// Why a payment failed.
#[derive(Debug, Serialize, Deserialize)]
pub enum PaymentError {
    /// The bank doesn't answer; a retry may help.
    BankIsBusy,
    /// The customer has no money; a retry doesn't help.
    NoMoney(String),
}

impl std::fmt::Display for PaymentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BankIsBusy => f.write_str("the bank is busy"),
            Self::NoMoney(account) => write!(f, "the account {account} is empty"),
        }
    }
}

impl std::error::Error for PaymentError {}

async fn work(millis: std::ops::Range<u64>) {
    sleep(Duration::from_millis(fastrand::u64(millis))).await;
}

/// Packs one article.
#[task(name = "pack")]
pub async fn pack(article: String) -> String {
    work(20..400).await;
    format!("{article} in a box")
}

/// Packs all articles of an order at the same time, and waits for them.
#[task(name = "pack_order")]
pub async fn pack_order(order: Order) -> Result<Vec<String>> {
    let app = TaskContext::current()?.engine().clone();
    app.submit_all(order.articles.into_iter().map(pack)).await?.results().await
}

/// Charges a customer. Only one payment of a customer runs at a time; a busy bank is tried again.
#[task(
    name = "charge",
    max_retries = 2,
    backoff = constant("2s"),
    running_concurrency = keys(customer),
    reroute_on_concurrency_control
)]
pub async fn charge(customer: u32, cents: u64) -> Result<u64, PaymentError> {
    work(50..800).await;
    match fastrand::u8(..100) {
        0..12 => Err(PaymentError::BankIsBusy),
        12..16 => Err(PaymentError::NoMoney(format!("of customer {customer}"))),
        _ => Ok(cents),
    }
}

/// Sends a mail.
#[task(name = "send_mail", queue = "mail", priority = 2)]
pub async fn send_mail(to: u32, text: String) {
    work(5..60).await;
    let _ = (to, text);
}

/// Processes an order: charges, packs, waits a moment for the carrier, and sends a mail.
#[workflow(name = "process_order")]
pub async fn process_order(#[inject] wf: Workflow, order: Order) -> Result<String> {
    let cents = wf.execute(charge(order.customer, 1000 * order.articles.len() as u64)).await?;
    let boxes = wf.execute(pack_order(order.clone())).await?;
    wf.sleep(Duration::from_secs(3)).await?;
    wf.execute(send_mail(order.customer, format!("order {} is on its way", order.number))).await?;
    Ok(format!("{} boxes for {cents} cents", boxes.len()))
}

/// Counts the stock, every ten seconds.
#[task(name = "count_stock", triggers = on_cron("*/10 * * * * *"))]
pub async fn count_stock() -> u32 {
    work(100..300).await;
    fastrand::u32(100..200)
}

/// Reports a failed payment.
#[task(name = "report_failure", queue = "mail", triggers = on_status::<charge>([Status::Failed]))]
pub async fn report_failure() {
    work(5..20).await;
}

/// Makes the report of a day, which is due much later.
#[task(name = "daily_report")]
pub async fn daily_report(day: String) -> String {
    work(500..900).await;
    format!("all is well on {day}")
}
