//! A shop with its orders and its calls in one SQLite file.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p own-transaction
//! ```

use pynenc::backends::pynenc_sqlite::rusqlite::{Connection, TransactionBehavior};
use pynenc::prelude::*;

#[task]
fn ship(order: String) -> String {
    format!("{order} is on its way")
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "shop.db".to_owned());
    let app = Pynenc::builder().sqlite(&file).build().await?;
    let _runner = app.start_runner().await?;

    let mut shop = Connection::open(&file).map_err(Error::other)?;
    shop.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT)", []).map_err(Error::other)?;
    let shipping = place_order(&app, &mut shop, "order 7")?;
    println!("{}", shipping.result().await?);
    Ok(())
}

/// Stores an order and submits its call: both, or neither.
fn place_order(app: &Pynenc, shop: &mut Connection, order: &str) -> Result<Invocation<ship>> {
    let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::other)?;
    transaction.execute("INSERT INTO orders VALUES (?1)", [order]).map_err(Error::other)?;
    let submitted = app.sqlite()?.submit(&transaction, ship(order.to_owned()))?;
    transaction.commit().map_err(Error::other)?;
    Ok(submitted.committed())
}
