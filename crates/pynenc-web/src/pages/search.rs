//! The search field: an id, a task, or a text.

use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use pynenc_core::config::ArgumentPrinting;
use serde::Deserialize;

use super::layout;
use super::visitor::Visitor;
use super::widgets;
use crate::problem::Problem;

/// The minimum number of digits of an id. Fewer digits are likely to match several ids.
const MIN_DIGITS: usize = 4;

/// The text in the search field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    q: String,
}

/// Goes to the page that fits the text.
pub(super) async fn go(visitor: Visitor, Query(Typed { q }): Query<Typed>) -> Response {
    match target(&visitor, q.trim()).await {
        Ok(path) => Redirect::to(&visitor.path(&path)).into_response(),
        Err(problem) => layout::error(&visitor.state, Some(&visitor), &problem),
    }
}

async fn target(visitor: &Visitor, typed: &str) -> Result<String, Problem> {
    if typed.is_empty() {
        return Ok("/invocations".to_owned());
    }
    let app = &visitor.state.app;
    if let Ok(task) = app.tasks().named(typed) {
        return Ok(format!("/tasks/{}", crate::units::encoded(task.id().as_str())));
    }
    if let Some(digits) = digits(typed) {
        return Ok(format!("/invocations/{}", app.complete_id(&digits).await?));
    }
    let filter = if visitor.state.arguments == ArgumentPrinting::Full { "text" } else { "task" };
    Ok(format!("/invocations{}", widgets::query(&[(filter, typed)])))
}

/// The hexadecimal digits of an id or of a part of one.
fn digits(typed: &str) -> Option<String> {
    let digits: String = typed.chars().filter(|char| *char != '-').map(|char| char.to_ascii_lowercase()).collect();
    let is_id = (MIN_DIGITS..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_a_part_of_an_id() {
        assert_eq!(digits("019A-BC").as_deref(), Some("019abc"));
        assert_eq!(digits("019a1b2c-0000-7000-8000-00000000000f").map(|digits| digits.len()), Some(32));
        for typed in ["019", "order-7", "charge", &"0".repeat(33)] {
            assert_eq!(digits(typed), None, "{typed}");
        }
    }
}
