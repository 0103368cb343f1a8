//! The users of the API and the monitor, and their rights.
//!
//! | file | holds |
//! |---|---|
//! | `user.rs` | users and roles |
//! | `credentials.rs` | the file with passwords and tokens |
//! | `sessions.rs` | logins of browsers |
//! | `origin.rs` | checks that a request comes from the monitor itself: cross-site requests and foreign host names |
//! | `login_limit.rs` | the limit on failed logins |
//! | `authenticate.rs` | the middleware: finds the user of a request, and refuses what the user may not do |

mod authenticate;
mod credentials;
mod login_limit;
mod origin;
mod sessions;
mod user;

pub(crate) use authenticate::{Access, Client, Entrance, check_origin};
pub use credentials::{new_token_line, password_line};
pub use user::{Role, User};
