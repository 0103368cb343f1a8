//! How do I submit a call in the transaction of diesel that writes my own rows? If the transaction is rolled back, the
//! call never existed.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p own-transaction-diesel
//! ```

mod in_transaction;

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use pynenc::prelude::*;

use crate::in_transaction::InTransaction;

diesel::table! {
    /// The orders of the shop.
    orders (name) {
        /// The name of an order.
        name -> Text,
    }
}

type Failure = Box<dyn Error + Send + Sync>;

#[task]
async fn ship(order: String) -> String {
    format!("{order} is on its way")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "shop.db".to_owned());
    let app = Pynenc::builder().sqlite(&file).build().await?;
    let mut shop = SqliteConnection::establish(&file)?;
    // By default, a connection of diesel doesn't wait for the lock of another connection.
    shop.batch_execute("PRAGMA busy_timeout = 5000; CREATE TABLE IF NOT EXISTS orders (name TEXT PRIMARY KEY)")?;

    place_order(&app, &mut shop, "order 7", false)?;
    show(&app, &mut shop, "order 7 is rolled back").await?;
    let shipping = place_order(&app, &mut shop, "order 8", true)?;
    show(&app, &mut shop, "order 8 is committed").await?;

    // The runner can also be in another process.
    let runner = app.start_runner().await?;
    if let Some(shipping) = shipping {
        println!("{}", shipping.result().await?);
    }
    Ok(runner.shutdown().await?)
}

/// Stores an order and submits its call: both, or neither if the order isn't paid.
fn place_order(
    app: &Pynenc,
    shop: &mut SqliteConnection,
    order: &str,
    is_paid: bool,
) -> Result<Option<Invocation<ship>>, Failure> {
    let committed = shop.immediate_transaction(|shop| {
        diesel::insert_into(orders::table).values(orders::name.eq(order)).execute(shop)?;
        let submitted = app.sqlite()?.submit(InTransaction(shop), ship(order.to_owned()))?;
        if is_paid { Ok(submitted) } else { Err(Failure::from(DieselError::RollbackTransaction)) }
    });
    match committed {
        Ok(submitted) => Ok(Some(submitted.committed())),
        Err(error) if !is_paid && error.is::<DieselError>() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn show(app: &Pynenc, shop: &mut SqliteConnection, event: &str) -> Result<(), Failure> {
    let stored: i64 = orders::table.count().get_result(shop)?;
    println!("{event}. Orders: {stored}, waiting calls: {}", app.count(Status::Registered).await?);
    Ok(())
}
