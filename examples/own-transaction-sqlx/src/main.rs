//! How do I submit a call in the transaction of sqlx that writes my own rows? If the transaction is rolled back, the call
//! never existed.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p own-transaction-sqlx
//! ```

mod in_transaction;

use std::error::Error;

use pynenc::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, query, query_scalar};

use crate::in_transaction::InTransaction;

type Failure = Box<dyn Error + Send + Sync>;

#[task]
async fn ship(order: String) -> String {
    format!("{order} is on its way")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "shop.db".to_owned());
    let app = Pynenc::builder().sqlite(&file).build().await?;
    let mut shop = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&file)).await?;
    query("CREATE TABLE IF NOT EXISTS orders (name TEXT)").execute(&mut shop).await?;

    place_order(&app, &mut shop, "order 7", false).await?;
    show(&app, &mut shop, "order 7 is rolled back").await?;
    let shipping = place_order(&app, &mut shop, "order 8", true).await?;
    show(&app, &mut shop, "order 8 is committed").await?;

    // The runner can also be in another process.
    let runner = app.start_runner().await?;
    if let Some(shipping) = shipping {
        println!("{}", shipping.result().await?);
    }
    Ok(runner.shutdown().await?)
}

/// Stores an order and submits its call: both, or neither if the order isn't paid.
async fn place_order(
    app: &Pynenc,
    shop: &mut SqliteConnection,
    order: &str,
    is_paid: bool,
) -> Result<Option<Invocation<ship>>, Failure> {
    let mut transaction = shop.begin_with("BEGIN IMMEDIATE").await?;
    query("INSERT INTO orders VALUES (?1)").bind(order).execute(&mut *transaction).await?;
    let submitted = app.sqlite()?.submit_async(InTransaction(&mut transaction), ship(order.to_owned())).await?;
    if !is_paid {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(submitted.committed()))
}

async fn show(app: &Pynenc, shop: &mut SqliteConnection, event: &str) -> Result<(), Failure> {
    let orders: i64 = query_scalar("SELECT count(*) FROM orders").fetch_one(shop).await?;
    println!("{event}. Orders: {orders}, waiting calls: {}", app.count(Status::Registered).await?);
    Ok(())
}
