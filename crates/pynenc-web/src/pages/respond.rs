//! The responses to a visitor: a page, or the reason why it can't be shown; and the redirect after an action.

use axum::response::{IntoResponse, Redirect, Response};

use super::layout::{self, Page};
use super::visitor::Visitor;
use crate::problem::Problem;

impl Visitor {
    /// Renders a page, or the reason why it can't be shown.
    pub(super) fn show(&self, page: Result<Page, Problem>) -> Response {
        match page {
            Ok(page) => layout::render(self, &page).into_response(),
            Err(problem) => layout::error(&self.state, Some(self), &problem),
        }
    }

    /// After an action, sends the browser to the page that shows what was done; or renders the reason why it failed.
    pub(super) fn done<T>(&self, result: Result<T, Problem>, page: impl FnOnce(T) -> String) -> Response {
        match result {
            Ok(done) => Redirect::to(&self.state.path(&page(done))).into_response(),
            Err(problem) => layout::error(&self.state, Some(self), &problem),
        }
    }
}
