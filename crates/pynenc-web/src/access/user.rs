//! Users and their roles.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The rights of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees everything.
    Viewer,
    /// Sees everything, and may submit, cancel, retry, emit events, and pause and fire triggers if `web.actions` is on.
    Operator,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        })
    }
}

impl FromStr for Role {
    type Err = pynenc_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            _ => Err(pynenc_core::Error::invalid("unknown role").with("found", text).with("known", "viewer, operator")),
        }
    }
}

/// The user of a request.
///
/// A program that mounts the router in its own server can authenticate requests itself: its middleware adds a `User` to the
/// extensions of each request.
///
/// ```
/// use axum::extract::Request;
/// use axum::middleware::Next;
/// use axum::response::Response;
/// use pynenc_web::{Role, User};
///
/// async fn add_user(mut request: Request, next: Next) -> Response {
///     // Here the program finds out who sent the request.
///     request.extensions_mut().insert(User { name: "ann".into(), role: Role::Viewer });
///     next.run(request).await
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, for the audit log.
    pub name: String,
    /// The rights of the user.
    pub role: Role,
}
