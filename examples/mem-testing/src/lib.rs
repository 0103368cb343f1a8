//! How do I test tasks with a runner, as in production, but without a server? With in-memory components. `TestApp` also
//! has virtual time, so that hours pass in a moment.
//!
//! Run with
//!
//! ```not_rust
//! cargo test -p mem-testing
//! ```

use pynenc::prelude::*;

/// A mail server in memory, which the tasks get as a state.
#[derive(Debug)]
pub struct Postbox(pub std::sync::Mutex<Vec<String>>);

/// Sends one mail.
#[task(max_retries = 5)]
pub async fn send_mail(to: String, subject: String, #[inject] postbox: State<Postbox>) -> Result<(), String> {
    let mut sent = postbox.0.lock().map_err(|_| "the postbox is broken".to_owned())?;
    sent.push(format!("{to}: {subject}"));
    Ok(())
}

/// Mails a new user now, and again eight hours later.
#[task]
pub async fn welcome(user: String, #[inject] context: TaskContext) -> Result<()> {
    context.submit(send_mail(user.clone(), "welcome".to_owned())).await?;
    context.submit(send_mail(user, "how is it going?".to_owned()).delay(hours(8))).await?;
    Ok(())
}
