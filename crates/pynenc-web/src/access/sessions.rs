//! Logins of browsers. They are in memory, so a restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pynenc_core::{Digest, Result};
use tokio::time::Instant;

use super::credentials::random_digits;

/// The maximum number of logins at a time. One more ends the oldest.
const MAX_SESSIONS: usize = 10_000;

/// The logins of browsers, by the digest of the secret in the browser's cookie.
#[derive(Debug)]
pub(super) struct Sessions {
    lifetime: Duration,
    open: Mutex<HashMap<Digest, Session>>,
}

#[derive(Debug, Clone)]
struct Session {
    user: String,
    expires: Instant,
}

impl Sessions {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, open: Mutex::default() }
    }

    /// How long a login lasts.
    pub(super) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Logs a user in, and returns the secret for the browser's cookie.
    pub(super) fn open(&self, user: &str) -> Result<String> {
        let secret = random_digits()?;
        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.expires > now);
        if open.len() >= MAX_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, session)| session.expires).map(|(digest, _)| *digest);
            oldest.map(|digest| open.remove(&digest));
        }
        open.insert(digest(&secret), Session { user: user.to_owned(), expires: now + self.lifetime });
        Ok(secret)
    }

    /// The name of the user who logged in with this secret.
    pub(super) fn user(&self, secret: &str) -> Option<String> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&digest(secret)).filter(|session| session.expires > Instant::now()).map(|session| session.user.clone())
    }

    /// Logs a user out.
    pub(super) fn close(&self, secret: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(secret));
    }
}

fn digest(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_login_ends_with_its_lifetime_or_a_logout() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let (first, second) = (sessions.open("ann").unwrap(), sessions.open("bob").unwrap());
        assert_eq!(sessions.user(&first).as_deref(), Some("ann"));
        sessions.close(&second);
        assert_eq!(sessions.user(&second), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(sessions.user(&first), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_logins_is_bounded() {
        let sessions = Sessions::new(Duration::from_secs(60));
        let first = sessions.open("ann").unwrap();
        for _ in 0..MAX_SESSIONS {
            tokio::time::advance(Duration::from_micros(1)).await;
            sessions.open("bob").unwrap();
        }
        assert_eq!(sessions.user(&first), None);
        assert_eq!(sessions.open.lock().unwrap().len(), MAX_SESSIONS);
    }
}
