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
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use pynenc_core::InvocationId;
use tokio::time::sleep;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Path, Query};
use crate::model::{self, InvocationRow, InvocationsQuery, parse_id};
use crate::problem::Problem;
use crate::readings::Overview;
use crate::state::WebState;

/// The time between two readings of an open stream.
const INTERVAL: Duration = Duration::from_secs(1);

type Events = Sse<axum::response::sse::KeepAliveStream<BoxStream<'static, Result<Event, Infallible>>>>;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(overview)).routes(routes!(invocations)).routes(routes!(invocation))
}

/// The state of the app, whenever it changes
///
/// Each event `overview` has the same JSON as `GET /overview`. An event `problem` says that a reading failed; the stream goes
/// on.
#[utoipa::path(get, path = "/overview/stream", tag = "streams", responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn overview(State(state): State<WebState>) -> Events {
    let read = |(state, last): (WebState, Option<Arc<Overview>>)| async move {
        let overview = match state.readings.overview(&state.app).await {
            Ok(overview) => overview,
            Err(error) => return (problem(&error.into()), (state, last)),
        };
        let is_same = last.as_ref().is_some_and(|last| is_same(last, &overview));
        let events = if is_same { Vec::new() } else { vec![event("overview", &*overview)] };
        (events, (state, Some(overview)))
    };
    events(&state, changes((state.clone(), None), read))
}

/// Whether only the time of two readings differs.
fn is_same(last: &Overview, now: &Overview) -> bool {
    Overview { at: now.at, ..last.clone() } == *now
}

/// The invocations of a list that are new or changed
///
/// The first event `invocations` has the rows of `GET /invocations` with the same filter; later ones have the rows that are
/// new or have another version.
#[utoipa::path(get, path = "/invocations/stream", tag = "streams", params(InvocationsQuery), responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn invocations(State(state): State<WebState>, Query(query): Query<InvocationsQuery>) -> Result<Events, Problem> {
    // A wrong filter is a problem of the request.
    let page = model::invocations(&state, &query).await?;
    type Versions = HashMap<InvocationId, u64>;
    let first = Some(page);
    let read = move |(state, seen, first): (WebState, Option<Versions>, Option<model::InvocationPage>)| {
        let query = query.clone();
        async move {
            let page = match first {
                Some(page) => page,
                None => match model::invocations(&state, &query).await {
                    Ok(page) => page,
                    Err(error) => return (problem(&error), (state, seen, None)),
                },
            };
            let versions = page.items.iter().map(|row| (row.id, row.version)).collect();
            let is_new = |row: &InvocationRow| seen.as_ref().is_none_or(|seen| seen.get(&row.id) != Some(&row.version));
            let rows: Vec<_> = page.items.into_iter().filter(is_new).collect();
            let events = if rows.is_empty() && seen.is_some() { Vec::new() } else { vec![event("invocations", &rows)] };
            (events, (state, Some(versions), None))
        }
    };
    Ok(events(&state, changes((state.clone(), None, first), read)))
}

/// An invocation, whenever it changes
///
/// Each event `invocation` has the same JSON as `GET /invocations/{id}`. The stream ends with the completion.
#[utoipa::path(get, path = "/invocations/{id}/stream", tag = "streams", params(("id" = String, Path)), responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn invocation(State(state): State<WebState>, Path(id): Path<String>) -> Result<Events, Problem> {
    let id = parse_id(&id)?;
    let completions = state.app.parts().orchestrator.watch(&[id]).await?;
    let first = model::invocation(&state, id).await?;
    let stream = unfold((state.clone(), Some(completions), Some(first), 0), move |step| next_version(step, id));
    Ok(events(&state, stream.flat_map(|events| futures_util::stream::iter(events)).boxed()))
}

type Watch = BoxStream<'static, pynenc_core::orchestrator::Completion>;
type Step = (WebState, Option<Watch>, Option<model::Invocation>, u64);

/// Waits for a new version of an invocation. The state without completions is that after the end.
async fn next_version((state, watch, first, seen): Step, id: InvocationId) -> Option<(Vec<Event>, Step)> {
    let mut watch = watch?;
    let invocation = match first {
        Some(first) => first,
        None => {
            tokio::select! {
                () = sleep(INTERVAL) => {}
                _ = watch.next() => {}
            }
            let read = async {
                if state.app.status(id).await?.version == seen { Ok(None) } else { model::invocation(&state, id).await.map(Some) }
            };
            match read.await {
                Ok(Some(invocation)) => invocation,
                Ok(None) => return Some((Vec::new(), (state, Some(watch), None, seen))),
                Err(error) => {
                    let watch = Some(watch).filter(|_| error.retryable);
                    return Some((problem(&error), (state, watch, None, seen)));
                }
            }
        }
    };
    let (version, is_final) = (invocation.row.version, invocation.row.status.is_final());
    let watch = Some(watch).filter(|_| !is_final);
    Some((vec![event("invocation", &invocation)], (state, watch, None, version)))
}

/// A stream of what readings find: the first one at once, and then one each interval.
fn changes<S, F, R>(first: S, read: F) -> BoxStream<'static, Event>
where
    S: Send + 'static,
    F: Fn(S) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = (Vec<Event>, S)> + Send,
{
    let stream = unfold((first, true), move |(state, is_first)| {
        let read = read.clone();
        async move {
            if !is_first {
                sleep(INTERVAL).await;
            }
            let (events, state) = read(state).await;
            Some((events, (state, false)))
        }
    });
    stream.flat_map(futures_util::stream::iter).boxed()
}

/// The response of a stream. It ends when the server stops.
fn events(state: &WebState, stream: impl Stream<Item = Event> + Send + 'static) -> Events {
    let stream = stream.map(Ok).take_until(state.closed()).boxed();
    Sse::new(stream).keep_alive(KeepAlive::default())
}

fn event(name: &str, value: &impl serde::Serialize) -> Event {
    let event = Event::default().event(name);
    event.json_data(value).unwrap_or_default()
}

fn problem(problem: &Problem) -> Vec<Event> {
    vec![event("problem", problem)]
}
