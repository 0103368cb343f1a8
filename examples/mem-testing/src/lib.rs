//! How are tasks tested as they run in production, with a runner, but without a server? With components in memory; and
//! with a `TestApp`, whose time is virtual.
//!
//! Run with
//!
//! ```not_rust
//! cargo test -p mem-testing
//! ```

use pynenc::prelude::*;

/// What the mails go through.
#[derive(Debug)]
pub struct Postbox(pub std::sync::Mutex<Vec<String>>);

/// Sends one mail.
#[task(max_retries = 5)]
pub async fn send_mail(to: String, subject: String, #[inject] postbox: State<Postbox>) -> Result<(), String> {
    let mut sent = postbox.0.lock().map_err(|_| "the postbox is broken".to_owned())?;
    sent.push(format!("{to}: {subject}"));
    Ok(())
}

/// Greets a new user at once, and asks how it goes eight hours later.
#[task]
pub async fn welcome(user: String, #[inject] context: TaskContext) -> Result<()> {
    context.submit(send_mail(user.clone(), "welcome".to_owned())).await?;
    context.submit(send_mail(user, "how is it going?".to_owned()).delay(hours(8))).await?;
    Ok(())
}
