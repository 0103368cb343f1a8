//! The visitor of a page: the user, with everything that is needed to render a page for them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pynenc_core::InvocationId;

use crate::access::{Client, User};
use crate::problem::Problem;
use crate::state::WebState;
use crate::units::encoded;

/// The visitor of a page.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) state: WebState,
    pub(super) user: User,
    pub(super) client: Client,
}

impl FromRequestParts<WebState> for Visitor {
    type Rejection = Problem;

    /// The layer `protect` has refused the requests without a user.
    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let user = parts.extensions.get::<User>().cloned();
        let user = user.ok_or_else(|| Problem::unauthenticated("the request has no user"))?;
        let client = parts.extensions.get::<Client>().cloned().unwrap_or_default();
        Ok(Self { state: state.clone(), user, client })
    }
}

impl Visitor {
    /// Whether the visitor may change something.
    pub(super) fn may_act(&self) -> bool {
        self.state.access.may_act(&self.user)
    }

    /// The path of a page, with the prefix.
    pub(super) fn path(&self, path: &str) -> String {
        self.state.path(path)
    }

    pub(super) fn invocation_path(&self, id: InvocationId) -> String {
        self.path(&format!("/invocations/{id}"))
    }

    pub(super) fn task_path(&self, name: &str) -> String {
        self.path(&format!("/tasks/{}", encoded(name)))
    }
}
