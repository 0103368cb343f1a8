//! The pub/sub connection: subscribing, reconnecting, and handing messages to subscribers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::component::RECONNECTS;
use pynenc_core::orchestrator::{Completion, Signal};
use pynenc_core::trigger_store::{Notification, NotificationCounts};
use pynenc_core::{Error, InvocationId, Result, RunnerId, StatusRecord};
use redis::Value;
use redis::aio::{PubSub as Established, PubSubSink, PubSubStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::outcomes::PushedOutcomes;
use super::signals::SignalListeners;
use super::watchers::{Watch, Watchers};
use crate::arguments::{self, BATCH};
use crate::client::Client;
use crate::codec::Parse;
use crate::entry;
use crate::error::{component_error, unexpected_reply};
use crate::keys::Key;
use crate::script;
use crate::value::bytes;

/// The pub/sub connection of this process, opened for the first subscriber.
pub(crate) struct PubSub {
    client: Arc<Client>,
    listener: Arc<Listener>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

struct Listener {
    /// The channel to which the store sends the completions that this process watches.
    completions: Vec<u8>,
    /// The channel of the trigger store's notifications.
    notifications: Vec<u8>,
    /// How long the connection may be silent before a ping, and how long a reply may take.
    silence_limit: Duration,
    sink: Mutex<Option<PubSubSink>>,
    watchers: Watchers,
    outcomes: PushedOutcomes,
    signals: SignalListeners,
    triggers: watch::Sender<NotificationCounts>,
}

impl Drop for PubSub {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl PubSub {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        let listener = Listener {
            completions: client.key_of(Key::Completions, Uuid::now_v7().as_bytes()),
            notifications: client.key(Key::Notifications),
            // A dead connection is noticed within the response timeout.
            silence_limit: client.config().response_timeout / 2,
            sink: Mutex::default(),
            watchers: Watchers::default(),
            outcomes: PushedOutcomes::default(),
            signals: SignalListeners::default(),
            triggers: watch::Sender::default(),
        };
        Self { client, listener: Arc::new(listener), task: tokio::sync::Mutex::default() }
    }

    /// The channel for completions that this process watches.
    pub(crate) fn channel(&self) -> &[u8] {
        &self.listener.completions
    }

    /// Makes sure that the connection is open.
    pub(crate) async fn open(&self) -> Result<()> {
        let mut task = self.task.lock().await;
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let stream = self.listener.subscribe(self.client.server().connect_pubsub().await?).await?;
        let (listener, client) = (self.listener.clone(), Arc::downgrade(&self.client));
        *task = Some(tokio::spawn(async move { listener.serve(stream, client).await }));
        Ok(())
    }

    /// Streams the completions of invocations. Subscribes first and reads then, so no completion is missed.
    pub(crate) async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        self.open().await?;
        let watch = self.add_watch(ids);
        match completions(&self.client, &self.listener.completions, ids).await {
            Ok(completions) => {
                completions.into_iter().for_each(|(id, record)| self.listener.watchers.report(&watch, id, record));
                Ok(watch.stream)
            }
            Err(error) => {
                self.remove_watch(&watch, ids);
                Err(error)
            }
        }
    }

    /// Adds a watch. The caller reads afterwards which invocations have finished already.
    pub(crate) fn add_watch(&self, ids: &[InvocationId]) -> Watch {
        self.listener.watchers.add(ids)
    }

    pub(crate) fn remove_watch(&self, watch: &Watch, ids: &[InvocationId]) {
        self.listener.watchers.remove(watch, ids);
    }

    /// Takes the outcomes that came with the message of a completion.
    pub(crate) fn take_outcomes(&self, id: InvocationId) -> Option<Vec<u8>> {
        self.listener.outcomes.take(id)
    }

    /// Streams the signals for a runner.
    pub(crate) async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        self.open().await?;
        let channel = self.client.key_of(Key::Signals, runner.as_bytes());
        let (signals, unused) = self.listener.signals.add(runner, channel.clone());
        let mut sink = self.listener.sink().ok_or_else(lost)?;
        if !unused.is_empty() {
            self.listener.in_time(sink.unsubscribe(unused)).await?;
        }
        self.listener.in_time(sink.subscribe(channel)).await?;
        Ok(signals)
    }

    /// Streams the notifications of the trigger store.
    pub(crate) async fn notifications(&self) -> Result<BoxStream<'static, Notification>> {
        self.open().await?;
        let receiver = self.listener.triggers.subscribe();
        let read = *receiver.borrow();
        let notifications = stream::unfold((receiver, read), async |(mut receiver, mut read)| {
            loop {
                let counts = *receiver.borrow_and_update();
                if let Some(notification) = read.next(counts) {
                    return Some((notification, (receiver, read)));
                }
                receiver.changed().await.ok()?;
            }
        });
        Ok(notifications.boxed())
    }

    /// Reports every watched invocation as unknown, after a purge.
    pub(crate) fn dismiss_watchers(&self) {
        self.listener.dismiss_watchers();
    }
}

impl Listener {
    fn sink(&self) -> Option<PubSubSink> {
        self.lock_sink().clone()
    }

    fn lock_sink(&self) -> MutexGuard<'_, Option<PubSubSink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn subscribe(&self, connection: Established) -> Result<PubSubStream> {
        let (mut sink, stream) = connection.split();
        let mut channels = vec![self.completions.clone(), self.notifications.clone()];
        channels.extend(self.signals.channels());
        self.in_time(sink.subscribe(channels)).await?;
        *self.lock_sink() = Some(sink);
        Ok(stream)
    }

    async fn in_time<T>(&self, request: impl Future<Output = redis::RedisResult<T>>) -> Result<T> {
        timeout(self.silence_limit, request).await.map_err(|_| lost())?.map_err(component_error)
    }

    /// Handles messages until the client is gone. Opens a new connection whenever the old one is lost.
    async fn serve(&self, mut stream: PubSubStream, client: Weak<Client>) {
        loop {
            self.handle_messages(&mut stream, &client).await;
            self.lock_sink().take();
            match self.reconnect(&client).await {
                Some(new) => stream = new,
                None => return,
            }
            self.catch_up(&client).await;
        }
    }

    /// Handles messages until the connection is lost.
    async fn handle_messages(&self, stream: &mut PubSubStream, client: &Weak<Client>) {
        let mut read_up_to = None;
        loop {
            match timeout(self.silence_limit, stream.next()).await {
                Ok(Some(message)) => {
                    let channel: Vec<u8> = message.get_channel().unwrap_or_default();
                    if let Err(error) = self.handle(message.get_payload_bytes(), &channel) {
                        tracing::warn!(%error, "a pub/sub message is corrupt; every watched invocation is read again");
                        self.catch_up(client).await;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    let Some(mut sink) = self.sink() else { return };
                    if self.in_time(sink.ping::<Value>()).await.is_err() {
                        return;
                    }
                    read_up_to = self.read_some(client, read_up_to).await;
                }
            }
        }
    }

    async fn reconnect(&self, client: &Weak<Client>) -> Option<PubSubStream> {
        let mut pause = Duration::from_millis(50);
        loop {
            let client = client.upgrade()?;
            if let Ok(connection) = client.server().connect_pubsub().await
                && let Ok(stream) = self.subscribe(connection).await
            {
                RECONNECTS.fetch_add(1, Ordering::Relaxed);
                return Some(stream);
            }
            drop(client);
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Reads a batch of the watched invocations during a silence, because a server that was emptied (`FLUSHALL`) reports
    /// nothing. Returns the id behind which the next batch begins; `None` for the beginning.
    async fn read_some(&self, client: &Weak<Client>, after: Option<InvocationId>) -> Option<InvocationId> {
        let mut ids = self.watchers.ids();
        ids.retain(|id| Some(*id) > after);
        ids.sort_unstable();
        let is_last = ids.len() <= BATCH;
        ids.truncate(BATCH);
        self.read(&*client.upgrade()?, &ids).await;
        ids.last().copied().filter(|_| !is_last)
    }

    async fn read(&self, client: &Client, ids: &[InvocationId]) {
        match completions(client, &self.completions, ids).await {
            Ok(completions) => {
                completions.into_iter().for_each(|(id, record)| self.watchers.complete(id, record.as_ref()));
            }
            Err(error) => tracing::debug!(%error, "can't read the watched invocations; they are read again later"),
        }
    }

    /// Reads all watched invocations and notifies the subscribers of the outbox and of the trigger store, because messages may
    /// have been lost. Lost cancels come with the next heartbeat.
    async fn catch_up(&self, client: &Weak<Client>) {
        self.signals.outbox();
        self.notify(Notification::Events);
        self.notify(Notification::Definitions);
        let ids = self.watchers.ids();
        let Some(client) = client.upgrade() else { return };
        self.read(&client, &ids).await;
    }

    fn handle(&self, message: &[u8], channel: &[u8]) -> Result<()> {
        match message.split_first() {
            Some((b'E', completion)) => self.complete(completion)?,
            Some((b'C', id)) => self.signals.cancel(Parse::new(id).id()?, channel),
            Some((b'O', _)) => self.signals.outbox(),
            Some((b'T', _)) => self.notify(Notification::Events),
            Some((b'D', _)) => self.notify(Notification::Definitions),
            Some((b'P', _)) => self.dismiss_watchers(),
            _ => return Err(unexpected_reply("a pub/sub message")),
        }
        Ok(())
    }

    /// Handles a completion: the id, the start of the entry, and the outcomes if they are small.
    fn complete(&self, completion: &[u8]) -> Result<()> {
        let mut parse = Parse::new(completion);
        let (id, record): (InvocationId, StatusRecord) = (parse.id()?, entry::status_record(&mut parse)?);
        let outcomes = parse.rest();
        if !outcomes.is_empty() && self.watchers.is_watched(id) {
            self.outcomes.add(id, outcomes);
        }
        self.watchers.complete(id, Some(&record));
        Ok(())
    }

    fn notify(&self, notification: Notification) {
        self.triggers.send_modify(|counts| counts.add(notification));
    }

    fn dismiss_watchers(&self) {
        self.outcomes.clear();
        self.watchers.dismiss();
    }
}

/// Reads which invocations have finished or don't exist, and records the channel on the others.
async fn completions(client: &Client, channel: &[u8], ids: &[InvocationId]) -> Result<Vec<Completion>> {
    let (channel, items) = ([channel.to_vec()], arguments::ids(ids));
    let read = || async {
        let replies = client.run_in_chunks(&script::WATCH, &channel, &items, 1).await?;
        let mut completions = Vec::new();
        for (id, reply) in ids.iter().zip(replies) {
            match reply {
                Value::Int(_) => {}
                Value::Nil => completions.push((*id, None)),
                reply => completions.push((*id, Some(entry::status_record(&mut Parse::new(&bytes(reply)?))?))),
            }
        }
        Ok(completions)
    };
    client.retry_if_garbled(read).await
}

fn lost() -> Error {
    Error::unavailable("the pub/sub connection to redis is lost")
}
