//! Streams of changes, as server-sent events.
//!
//! The stores have no stream of all changes. So a stream reads once a second while it is open, and sends what has changed.
//! The completion of an invocation is pushed by the store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream};
use futures_util::stream::{BoxStream, StreamExt, iter, unfold};
use pynenc_core::InvocationId;
use pynenc_core::orchestrator::Completion;
use tokio::time::sleep;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Path, Query};
use crate::model::{self, InvocationPage, InvocationRow, InvocationsQuery, parse_id};
use crate::problem::Problem;
use crate::readings::Overview;
use crate::state::WebState;

/// The time between two readings of an open stream.
const INTERVAL: Duration = Duration::from_secs(1);

type Events = Sse<KeepAliveStream<BoxStream<'static, Result<Event, Infallible>>>>;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(stream_overview))
        .routes(routes!(stream_invocations))
        .routes(routes!(stream_invocation))
}

/// The source of a stream's events.
trait Feed: Send + Sized + 'static {
    /// Waits for the next events, of which there may be none; `None` ends the stream.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Event>>> + Send;
}

/// The response of a stream. It ends with its feed, and when the server stops.
fn stream<F: Feed>(state: &WebState, feed: F) -> Events {
    let events = unfold(feed, |mut feed| async move { Some((feed.next().await?, feed)) });
    let events = events.flat_map(iter).map(Ok).take_until(state.closed()).boxed();
    Sse::new(events).keep_alive(KeepAlive::default())
}

fn event(name: &str, value: &impl serde::Serialize) -> Vec<Event> {
    vec![Event::default().event(name).json_data(value).unwrap_or_default()]
}

/// The state of the app, whenever it changes
///
/// Each event `overview` has the same JSON as `GET /overview`. An event `problem` says that a reading failed; the stream goes
/// on.
#[utoipa::path(get, path = "/overview/stream", tag = "streams", responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn stream_overview(State(state): State<WebState>) -> Events {
    stream(&state, OverviewFeed { state: state.clone(), last: None })
}

struct OverviewFeed {
    state: WebState,
    last: Option<Arc<Overview>>,
}

impl Feed for OverviewFeed {
    async fn next(&mut self) -> Option<Vec<Event>> {
        if self.last.is_some() {
            sleep(INTERVAL).await;
        }
        let now = match self.state.readings.overview(&self.state.app).await {
            Ok(now) => now,
            Err(error) => {
                sleep(INTERVAL).await;
                return Some(event("problem", &Problem::from(error)));
            }
        };
        let is_same = |last: &Arc<Overview>| Overview { at: now.at, ..(**last).clone() } == *now;
        let events = if self.last.as_ref().is_some_and(is_same) { Vec::new() } else { event("overview", &*now) };
        self.last = Some(now);
        Some(events)
    }
}

/// The invocations of a list that are new or changed
///
/// The first event `invocations` has the rows of `GET /invocations` with the same filter; later ones have the rows that are
/// new or have another version.
#[utoipa::path(get, path = "/invocations/stream", tag = "streams", params(InvocationsQuery), responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn stream_invocations(
    State(state): State<WebState>,
    Query(query): Query<InvocationsQuery>,
) -> Result<Events, Problem> {
    // Reads the first page before the stream begins, so that a wrong filter is a problem of the request.
    let first = Some(model::invocations(&state, &query).await?);
    Ok(stream(&state, InvocationsFeed { state: state.clone(), query, first, seen: HashMap::new() }))
}

struct InvocationsFeed {
    state: WebState,
    query: InvocationsQuery,
    first: Option<InvocationPage>,
    /// The versions of the rows of the last page.
    seen: HashMap<InvocationId, u64>,
}

impl InvocationsFeed {
    async fn read_later(&self) -> Result<InvocationPage, Problem> {
        sleep(INTERVAL).await;
        model::invocations(&self.state, &self.query).await
    }
}

impl Feed for InvocationsFeed {
    async fn next(&mut self) -> Option<Vec<Event>> {
        let is_first = self.first.is_some();
        let page = match self.first.take() {
            Some(first) => Ok(first),
            None => self.read_later().await,
        };
        let page = match page {
            Ok(page) => page,
            Err(problem) => return Some(event("problem", &problem)),
        };
        let versions = page.items.iter().map(|row| (row.id, row.version)).collect();
        let seen = std::mem::replace(&mut self.seen, versions);
        let is_changed = |row: &InvocationRow| seen.get(&row.id) != Some(&row.version);
        let rows: Vec<_> = page.items.into_iter().filter(is_changed).collect();
        Some(if rows.is_empty() && !is_first { Vec::new() } else { event("invocations", &rows) })
    }
}

/// An invocation, whenever it changes
///
/// Each event `invocation` has the same JSON as `GET /invocations/{id}`. The stream ends with the completion.
#[utoipa::path(get, path = "/invocations/{id}/stream", tag = "streams", params(("id" = String, Path)), responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn stream_invocation(State(state): State<WebState>, Path(id): Path<String>) -> Result<Events, Problem> {
    let id = parse_id(&id)?;
    // An unknown invocation is a problem of the request.
    state.app.status(id).await?;
    let completions = state.app.parts().orchestrator.watch(&[id]).await?;
    Ok(stream(&state, InvocationFeed { state: state.clone(), id, completions, seen: 0, is_over: false }))
}

struct InvocationFeed {
    state: WebState,
    id: InvocationId,
    completions: BoxStream<'static, Completion>,
    /// The version of the last event; zero before the first one.
    seen: u64,
    is_over: bool,
}

impl InvocationFeed {
    /// Reads the invocation if it has another version than before.
    async fn read(&mut self) -> Result<Option<model::Invocation>, Problem> {
        if self.state.app.status(self.id).await?.version == self.seen {
            return Ok(None);
        }
        model::invocation(&self.state, self.id).await.map(Some)
    }
}

impl Feed for InvocationFeed {
    async fn next(&mut self) -> Option<Vec<Event>> {
        if self.is_over {
            return None;
        }
        if self.seen > 0 {
            tokio::select! {
                () = sleep(INTERVAL) => {}
                Some(_) = self.completions.next() => {}
            }
        }
        match self.read().await {
            Ok(Some(invocation)) => {
                self.seen = invocation.row.version;
                self.is_over = invocation.row.status.is_final();
                Some(event("invocation", &invocation))
            }
            Ok(None) => Some(Vec::new()),
            Err(problem) => {
                self.is_over = !problem.retryable;
                sleep(INTERVAL).await;
                Some(event("problem", &problem))
            }
        }
    }
}
