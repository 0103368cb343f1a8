//! Waits for events of the app's log.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use pynenc_core::state_backend::Recorded;
use pynenc_core::trigger_store::{Event, EventWait};
use pynenc_core::{Digest, SerializerExt, Timestamp};
use pynenc_engine::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kind;
use crate::operation::{Ended, Operation};
use crate::replay::Wait;

/// A wait for an event, which awaiting it begins.
#[derive(Debug)]
#[must_use = "a wait begins when this is awaited"]
pub struct WaitForEvent<T> {
    operation: Operation,
    key: Option<Box<str>>,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send> WaitForEvent<T> {
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, key: None, payload: PhantomData }
    }

    /// Only an event of this key, as [`Emit::key`](pynenc_engine::Emit::key) gives it.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// No longer than `limit` from the first run that came here on: then the wait gives `None`.
    pub fn within(self, limit: Duration) -> WaitWithin<T> {
        WaitWithin { wait: self, limit }
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for WaitForEvent<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { mut operation, key, .. } = self;
            operation.arguments = digest(key.as_deref(), None);
            let recorded = match operation.replayed().await? {
                Some(recorded) => recorded,
                None => Waiter { operation: &operation, key: key.clone(), until: None }.recorded().await?,
            };
            let chosen: Option<Chosen> = operation.value(&recorded)?;
            let chosen =
                chosen.ok_or_else(|| pynenc_core::Error::corrupt("a wait without a limit was given no event"))?;
            taken(&operation, key.as_deref(), chosen)
        })
    }
}

/// A wait for an event with a time limit.
#[derive(Debug)]
#[must_use = "a wait begins when this is awaited"]
pub struct WaitWithin<T> {
    wait: WaitForEvent<T>,
    limit: Duration,
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for WaitWithin<T> {
    type Output = Result<Option<T>>;
    type IntoFuture = BoxFuture<'static, Result<Option<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { wait: WaitForEvent { mut operation, key, .. }, limit } = self;
            operation.arguments = digest(key.as_deref(), Some(limit));
            let began = operation.once(|| operation.encoded(&Limit { within: limit })).await?;
            let recorded = match operation.ended().await {
                Ended::Recorded(recorded) => recorded,
                Ended::Implied | Ended::Open => {
                    let until = Some(began.at + limit);
                    let chosen = Waiter { operation: &operation, key: key.clone(), until }.chosen().await?;
                    operation.record_end(kind::EVENT, operation.encoded(&chosen)?).await?
                }
            };
            let chosen: Option<Chosen> = operation.value(&recorded)?;
            chosen.map(|chosen| taken(&operation, key.as_deref(), chosen)).transpose()
        })
    }
}

/// What is recorded of a wait that has begun.
#[derive(Serialize, Deserialize)]
struct Limit {
    within: Duration,
}

fn digest(key: Option<&str>, limit: Option<Duration>) -> Digest {
    Digest::of(format!("{key:?} {:?}", limit.map(|limit| limit.as_millis())).as_bytes())
}

/// The event that a wait was given, as the journal has it.
#[derive(Debug, Serialize, Deserialize)]
struct Chosen {
    sequence: u64,
    key: Option<Box<str>>,
    at: Timestamp,
    serializer: Box<str>,
    payload: Recording,
}

/// An encoded payload: as text where people can read it. A JSON value in place of the text would have lost the digits of
/// large integers and the order of a map.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recording {
    Json(String),
    Bytes(Bytes),
}

/// A wait that is open.
struct Waiter<'a> {
    operation: &'a Operation,
    key: Option<Box<str>>,
    until: Option<Timestamp>,
}

impl Waiter<'_> {
    async fn recorded(&self) -> Result<Recorded> {
        let chosen = self.chosen().await?;
        self.operation.record(self.operation.encoded(&chosen)?).await
    }

    /// Waits for the event, or until its time is over.
    async fn chosen(&self) -> Result<Option<Chosen>> {
        let run = &self.operation.run;
        let since = run.since().await?;
        loop {
            let wait = self.wait(since);
            let come = run.extension().come();
            if let Some(event) = self.ask(&wait).await? {
                if self.until.is_some_and(|until| event.at > until) {
                    return Ok(None);
                }
                if self.take(&event) {
                    run.extension().took(run.id());
                    return Ok(Some(Self::read(event)));
                }
                continue;
            }
            let asleep = Wait { until: self.until, event: Some(wait) };
            if self.operation.wait(asleep, self.come_in_time(come)).await {
                continue;
            }
            // What was appended in the last moment counts.
            let last = self.ask(&self.wait(since)).await?.filter(|event| self.until.is_some_and(|it| event.at <= it));
            run.extension().took(run.id());
            return match last {
                Some(event) if self.take(&event) => Ok(Some(Self::read(event))),
                Some(_) | None => Ok(None),
            };
        }
    }

    fn wait(&self, since: Timestamp) -> EventWait {
        let (name, key) = (self.operation.name(), self.key.clone());
        let after = self.operation.run.replay().last_chosen(name, key.as_deref());
        EventWait { waiter: self.operation.run.id(), name: name.into(), key, since, after }
    }

    async fn ask(&self, wait: &EventWait) -> Result<Option<Event>> {
        let run = &self.operation.run;
        let store = &run.engine().parts().triggers;
        let found = run.insisted(|| store.await_events(std::slice::from_ref(wait))).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Whether events have come before the time was over.
    async fn come_in_time(&self, come: impl Future<Output = ()>) -> bool {
        let run = &self.operation.run;
        let over = async {
            match self.until {
                Some(until) => {
                    let local = run.replay().local(until);
                    run.engine().parts().clock.sleep_until(local).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = come => true,
            () = over => false,
        }
    }

    /// Takes an event for this wait, if no other one of this run has meanwhile.
    fn take(&self, event: &Event) -> bool {
        let (name, key) = (self.operation.name(), self.key.as_deref());
        let mut replay = self.operation.run.replay();
        let is_free = replay.last_chosen(name, key) < event.sequence;
        if is_free {
            replay.choose(name, key, event.sequence);
        }
        is_free
    }

    fn read(event: Event) -> Chosen {
        let Event { sequence, key, payload, serializer, at, .. } = event;
        let payload = match std::str::from_utf8(&payload) {
            Ok(text) if serializer.starts_with("Json") => Recording::Json(text.to_owned()),
            Ok(_) | Err(_) => Recording::Bytes(payload),
        };
        Chosen { sequence, key, at, serializer, payload }
    }
}

/// Gives a chosen event to the body, which the next wait for the same goes on behind.
fn taken<T: DeserializeOwned>(operation: &Operation, key: Option<&str>, chosen: Chosen) -> Result<T> {
    let unfit = |error: &pynenc_core::Error| {
        let error = pynenc_core::Error::invalid("the event isn't what the workflow waits for").with("cause", error);
        error.with("event", operation.name())
    };
    let Chosen { sequence, serializer, payload, .. } = chosen;
    operation.run.replay().choose(operation.name(), key, sequence);
    let bytes = match payload {
        Recording::Json(text) => text.into(),
        Recording::Bytes(bytes) => bytes,
    };
    let reader = operation.run.engine().reader(&serializer)?;
    Ok(reader.decode_as(&bytes).map_err(|error| unfit(&error))?)
}
