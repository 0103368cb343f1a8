//! The settings of the server's process.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{Setting, settings};

/// Shows the settings, those that something sets first.
pub(super) async fn page(visitor: Visitor) -> Response {
    let (set, default): (Vec<_>, Vec<_>) =
        settings(&visitor.state).into_iter().partition(|setting| setting.source != "default");
    let content = html! {
        h1 { "Configuration" }
        p { "The settings of this server's process. Workers may have others." }
        h2 { "Set" }
        @if set.is_empty() { p.empty { "Nothing is set." } } @else { (table("Settings that are set", &set)) }
        h2 { "Defaults" }
        (table("Settings with their defaults", &default))
    };
    visitor.show(Ok(Page::new("Configuration", "/configuration", content)))
}

fn table(name: &str, settings: &[Setting]) -> Markup {
    widgets::table(
        name,
        &["Setting", "Value", "From"],
        &html! {
            @for setting in settings {
                tr { td { code { (setting.key) } } td.text { (setting.value) } td.text { (setting.source) } }
            }
        },
    )
}
