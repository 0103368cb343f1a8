//! Waits for events.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use pynenc_core::state_backend::JournalRecord;
use pynenc_core::trigger_store::{Event, EventWait};
use pynenc_core::{Digest, SerializerExt, Timestamp};
use pynenc_engine::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::operation::{Operation, OperationEnd};
use crate::operation_kind;
use crate::replay::DurableWait;

/// A wait for an event; made by [`Workflow::wait_for_event`](crate::Workflow::wait_for_event). Awaiting it starts the
/// wait and returns the payload.
#[derive(Debug)]
#[must_use = "the wait starts when you await it"]
pub struct WaitForEvent<T> {
    operation: Operation,
    key: Option<Box<str>>,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + Send> WaitForEvent<T> {
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, key: None, payload: PhantomData }
    }

    /// Waits only for an event with this key, which the emitter gave with [`Emit::key`](pynenc_engine::Emit::key).
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Limits the wait to `limit` after a run first reached it, by the store's clock. After that the wait returns
    /// `None`.
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
                None => OpenWait { operation: &operation, key: key.clone(), until: None }.recorded().await?,
            };
            let event: Option<ReceivedEvent> = operation.value(&recorded)?;
            let event = event.ok_or_else(|| {
                pynenc_core::Error::corrupt("the journal has no event for a wait without a time limit")
            })?;
            payload(&operation, key.as_deref(), event)
        })
    }
}

/// A wait for an event with a time limit; made by [`WaitForEvent::within`]. Awaiting it returns the payload, or `None`
/// when the time is over.
#[derive(Debug)]
#[must_use = "the wait starts when you await it"]
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
            let started = operation.once(|| operation.encoded(&Limit { within: limit })).await?;
            let recorded = match operation.end().await {
                OperationEnd::Recorded(recorded) => recorded,
                OperationEnd::Implied | OperationEnd::Open => {
                    let until = Some(started.at + limit);
                    let event = OpenWait { operation: &operation, key: key.clone(), until }.received().await?;
                    operation.record_end(operation_kind::EVENT, operation.encoded(&event)?).await?
                }
            };
            let event: Option<ReceivedEvent> = operation.value(&recorded)?;
            event.map(|event| payload(&operation, key.as_deref(), event)).transpose()
        })
    }
}

/// The recorded start of a wait with a time limit.
#[derive(Serialize, Deserialize)]
struct Limit {
    within: Duration,
}

fn digest(key: Option<&str>, limit: Option<Duration>) -> Digest {
    Digest::of(format!("{key:?} {:?}", limit.map(|limit| limit.as_millis())).as_bytes())
}

/// The event that a wait received, as the journal stores it.
#[derive(Debug, Serialize, Deserialize)]
struct ReceivedEvent {
    sequence: u64,
    key: Option<Box<str>>,
    at: Timestamp,
    serializer: Box<str>,
    payload: EncodedPayload,
}

/// An encoded payload. JSON is stored as text, which keeps the digits of large integers and the order of a map.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodedPayload {
    Json(String),
    Bytes(Bytes),
}

/// A wait whose event isn't recorded.
struct OpenWait<'a> {
    operation: &'a Operation,
    key: Option<Box<str>>,
    until: Option<Timestamp>,
}

impl OpenWait<'_> {
    async fn recorded(&self) -> Result<JournalRecord> {
        let event = self.received().await?;
        self.operation.record(self.operation.encoded(&event)?).await
    }

    /// Waits for the event; `None` when the time is over.
    async fn received(&self) -> Result<Option<ReceivedEvent>> {
        let run = &self.operation.run;
        let since = run.submitted_at().await?;
        loop {
            let wait = self.wait(since);
            let next_event = run.shared.next_event();
            if let Some(event) = self.find(&wait).await? {
                if self.until.is_some_and(|until| event.at > until) {
                    return Ok(None);
                }
                if self.take(&event) {
                    run.shared.wait_is_over(run.id());
                    return Ok(Some(Self::encode(event)));
                }
                continue;
            }
            let durable = DurableWait { until: self.until, event: Some(wait) };
            if self.operation.wait(durable, self.in_time(next_event)).await {
                continue;
            }
            // An event of the last moment, whose notification is still on its way, counts.
            let last = self.find(&self.wait(since)).await?.filter(|event| self.until.is_some_and(|it| event.at <= it));
            run.shared.wait_is_over(run.id());
            return match last {
                Some(event) if self.take(&event) => Ok(Some(Self::encode(event))),
                Some(_) | None => Ok(None),
            };
        }
    }

    fn wait(&self, since: Timestamp) -> EventWait {
        let (name, key) = (self.operation.name(), self.key.clone());
        let after = self.operation.run.replay().last_received(name, key.as_deref());
        EventWait { waiter: self.operation.run.id(), name: name.into(), key, since, after }
    }

    /// Asks the store for the event. If there is none, the store keeps the wait.
    async fn find(&self, wait: &EventWait) -> Result<Option<Event>> {
        let run = &self.operation.run;
        let store = &run.engine().parts().triggers;
        let found = run.until_available(|| store.await_events(std::slice::from_ref(wait))).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Whether `next_event` completes before the time is over.
    async fn in_time(&self, next_event: impl Future<Output = ()>) -> bool {
        let run = &self.operation.run;
        let time_over = async {
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
            () = next_event => true,
            () = time_over => false,
        }
    }

    /// Takes an event for this wait, unless another wait of this run took it meanwhile.
    fn take(&self, event: &Event) -> bool {
        let (name, key) = (self.operation.name(), self.key.as_deref());
        let mut replay = self.operation.run.replay();
        let is_free = replay.last_received(name, key) < event.sequence;
        if is_free {
            replay.set_received(name, key, event.sequence);
        }
        is_free
    }

    fn encode(event: Event) -> ReceivedEvent {
        let Event { sequence, key, payload, serializer, at, .. } = event;
        let payload = match std::str::from_utf8(&payload) {
            Ok(text) if serializer.starts_with("Json") => EncodedPayload::Json(text.to_owned()),
            Ok(_) | Err(_) => EncodedPayload::Bytes(payload),
        };
        ReceivedEvent { sequence, key, at, serializer, payload }
    }
}

/// Decodes the payload of a received event. The next wait for the same name and key receives a later event.
fn payload<T: DeserializeOwned>(operation: &Operation, key: Option<&str>, event: ReceivedEvent) -> Result<T> {
    let ReceivedEvent { sequence, serializer, payload, .. } = event;
    operation.run.replay().set_received(operation.name(), key, sequence);
    let bytes = match payload {
        EncodedPayload::Json(text) => text.into(),
        EncodedPayload::Bytes(bytes) => bytes,
    };
    let reader = operation.run.engine().reader(&serializer)?;
    Ok(reader.decode_as(&bytes).map_err(|error| {
        let message = "the event's payload isn't of the type that the workflow waits for";
        pynenc_core::Error::invalid(message).with("cause", error).with("event", operation.name())
    })?)
}
