//! Events: the ones that triggers wait for, and a form to emit one.

use axum::extract::{Form, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::invocation::Done;
use super::layout::Page;
use super::visitor::Visitor;
use crate::actions::{self, NewEvent};
use crate::problem::Problem;

/// Shows the events.
pub(super) async fn page(visitor: Visitor, Query(done): Query<Done>) -> Response {
    let page = async {
        let waiting = waiting_triggers(&visitor).await?;
        Ok::<_, Problem>(Page::new("Events", "/events", content(&visitor, &waiting, &done)))
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, waiting: &Markup, done: &Done) -> Markup {
    html! {
        @if done.name() == "emitted" { p.notice.good role="status" { "The event was appended to the event log." } }
        h1 { "Events" }
        (waiting)
        @if visitor.may_act() { (form(visitor)) }
        @else { p.empty { "An operator can emit events here, if " code { "web.actions" } " is on." } }
    }
}

/// The triggers with a condition on an event.
#[cfg(feature = "triggers")]
async fn waiting_triggers(visitor: &Visitor) -> Result<Markup, Problem> {
    use super::widgets;
    let triggers = crate::model::event_triggers(&visitor.state).await?;
    Ok(html! {
        @if triggers.is_empty() { p.empty { "No trigger waits for an event. Workflows may." } }
        @else {
            (widgets::table("Triggers that wait for events", &["Event", "Trigger"], &html! {
                @for (event, trigger) in &triggers {
                    tr {
                        td { (event) }
                        td { a href=(visitor.path(&format!("/triggers/{}", crate::units::encoded(trigger)))) { (trigger) } }
                    }
                }
            }))
        }
    })
}

#[cfg(not(feature = "triggers"))]
#[expect(clippy::unused_async, reason = "with the feature `triggers`, it reads the triggers")]
async fn waiting_triggers(_visitor: &Visitor) -> Result<Markup, Problem> {
    Ok(html! {})
}

fn form(visitor: &Visitor) -> Markup {
    html! {
        section {
            h2 { "Emit an event" }
            form.stacked method="post" action=(visitor.path("/events")) {
                label { "Name" input name="name" required; }
                label { "Key" input name="key" placeholder="for workflows that wait for one key"; }
                label { "Payload, as JSON" textarea name="payload" rows="4" spellcheck="false" { "null" } }
                button.primary type="submit" { "Emit" }
            }
        }
    }
}

/// The form of an event.
#[derive(Debug, Deserialize)]
pub(super) struct EventForm {
    name: String,
    #[serde(default)]
    key: String,
    payload: String,
}

/// Emits an event.
pub(super) async fn emit(visitor: Visitor, Form(EventForm { name, key, payload }): Form<EventForm>) -> Response {
    let emit = async {
        let payload: Value = serde_json::from_str(&payload)
            .map_err(|error| Problem::invalid_request(format!("the payload isn't JSON: {error}")))?;
        let event = NewEvent { name, payload, key: Some(key).filter(|key| !key.is_empty()) };
        actions::emit(&visitor.state, &visitor.user, &event).await
    };
    visitor.done(emit.await, |_| "/events?done=emitted".to_owned())
}
