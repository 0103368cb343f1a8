//! What is pushed: one connection of this process, and those in it who listen.
//!
//! Who wants to know of ends writes this process's channel down beside each invocation, in the same step that looks
//! whether it has ended. What is pushed while the connection is lost is read again once it is back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::{Ended, Signal};
use pynenc_core::trigger_store::News;
use pynenc_core::{Error, InvocationId, Result, RunnerId, StatusRecord};
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::waiting::look;
use crate::client::{BATCH, RedisStore, Shared};
use crate::codec::{self, Parse};
use crate::error::{classified, misshapen};
use crate::keys::{Key, Keys};

/// So many outcomes are kept for those who will ask for them.
const OUTCOMES: usize = 256;

/// The connection for what is pushed, made when somebody listens first.
pub(crate) struct Hub {
    ends: Vec<u8>,
    news: Vec<u8>,
    listeners: Arc<Listeners>,
    line: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Listeners {
    /// How long the connection may be silent before it is tried, and how long an answer on it may take.
    patience: Duration,
    sink: Mutex<Option<PubSubSink>>,
    watchers: Mutex<Watchers>,
    outcomes: Mutex<Outcomes>,
    runners: Mutex<Vec<Listener>>,
    triggers: watch::Sender<NewsCount>,
}

/// What came with the news of ends and wasn't asked for yet; the oldest goes when there are too many.
#[derive(Default)]
struct Outcomes {
    by_id: FxHashMap<InvocationId, Vec<u8>>,
    order: VecDeque<InvocationId>,
}

/// How often there was news of each kind: who follows is told once of all that it hasn't read.
#[derive(Debug, Clone, Copy, Default)]
struct NewsCount {
    events: u64,
    definitions: u64,
}

#[derive(Default)]
struct Watchers {
    last: u64,
    by_id: FxHashMap<InvocationId, Vec<Watcher>>,
}

#[derive(Clone)]
struct Watcher {
    number: u64,
    sender: UnboundedSender<Ended>,
}

#[derive(Clone)]
struct Listener {
    runner: RunnerId,
    channel: Vec<u8>,
    sender: UnboundedSender<Signal>,
    /// Whether it hasn't yet read that the outbox has entries: one word of that is enough.
    knows_of_outbox: Arc<AtomicBool>,
}

/// Somebody's wish to know of ends.
pub(crate) struct Watch {
    number: u64,
    pub(crate) stream: BoxStream<'static, Ended>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(line) = self.line.get_mut() {
            line.abort();
        }
    }
}

impl Hub {
    /// One that notices within the response timeout that its connection is dead.
    pub(crate) fn new(keys: &Keys, response_timeout: Duration) -> Self {
        let listeners = Listeners { patience: response_timeout / 2, ..Listeners::default() };
        Self {
            ends: keys.of(Key::Ends, Uuid::now_v7().as_bytes()),
            news: keys.one(Key::News),
            listeners: Arc::new(listeners),
            line: tokio::sync::Mutex::default(),
        }
    }

    /// This process's channel.
    pub(crate) fn channel(&self) -> &[u8] {
        &self.ends
    }

    /// Makes sure that this process hears what is pushed.
    pub(crate) async fn open(&self, store: &RedisStore) -> Result<()> {
        let mut line = self.line.lock().await;
        if line.as_ref().is_some_and(|line| !line.is_finished()) {
            return Ok(());
        }
        let stream = self.listeners.connect(store.server().listen().await?, self.channels()).await?;
        let (listeners, channels, store) = (self.listeners.clone(), self.channels(), store.downgrade());
        *line = Some(tokio::spawn(async move { listeners.serve(stream, channels, store).await }));
        Ok(())
    }

    fn channels(&self) -> Vec<Vec<u8>> {
        vec![self.ends.clone(), self.news.clone()]
    }

    /// Adds a watcher of ids, before it is looked which of them have ended.
    pub(crate) fn watch(&self, ids: &[InvocationId]) -> Watch {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut watchers = lock(&self.listeners.watchers);
        watchers.last += 1;
        let number = watchers.last;
        for id in ids {
            watchers.add(*id, Watcher { number, sender: sender.clone() });
        }
        Watch { number, stream: stream_of(receiver) }
    }

    /// Tells one watcher of an end that was there before, unless it has just been told.
    pub(super) fn tell(&self, watch: &Watch, id: InvocationId, record: Option<StatusRecord>) {
        let mut watchers = lock(&self.listeners.watchers);
        let Some(waiting) = watchers.by_id.get_mut(&id) else { return };
        if let Some(place) = waiting.iter().position(|watcher| watcher.number == watch.number) {
            drop(waiting.swap_remove(place).sender.send((id, record)));
        }
        if waiting.is_empty() {
            watchers.by_id.remove(&id);
        }
    }

    /// Takes a watcher back that couldn't look.
    pub(crate) fn forget(&self, watch: &Watch, ids: &[InvocationId]) {
        let mut watchers = lock(&self.listeners.watchers);
        for id in ids {
            if let Some(waiting) = watchers.by_id.get_mut(id) {
                waiting.retain(|watcher| watcher.number != watch.number);
            }
        }
        watchers.by_id.retain(|_, waiting| !waiting.is_empty());
    }

    /// The outcomes that came with the news of an end, once.
    pub(crate) fn outcomes(&self, id: InvocationId) -> Option<Vec<u8>> {
        lock(&self.listeners.outcomes).by_id.remove(&id)
    }

    /// Listens for what concerns a runner.
    pub(super) async fn listen(&self, runner: RunnerId, channel: Vec<u8>) -> Result<BoxStream<'static, Signal>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let listener = Listener { runner, channel: channel.clone(), sender, knows_of_outbox: Arc::default() };
        let knows_of_outbox = listener.knows_of_outbox.clone();
        let gone = self.listeners.add(listener);
        let mut sink = self.listeners.sink().ok_or_else(lost)?;
        if !gone.is_empty() {
            self.listeners.answered(sink.unsubscribe(gone)).await?;
        }
        self.listeners.answered(sink.subscribe(channel)).await?;
        Ok(signals_of(receiver, knows_of_outbox))
    }

    /// Follows the news of triggers.
    pub(crate) fn follow(&self) -> BoxStream<'static, News> {
        let receiver = self.listeners.triggers.subscribe();
        let read = *receiver.borrow();
        stream::unfold((receiver, read), async |(mut receiver, mut read)| {
            loop {
                let count = *receiver.borrow_and_update();
                if let Some(news) = read.catch_up(count) {
                    return Some((news, (receiver, read)));
                }
                receiver.changed().await.ok()?;
            }
        })
        .boxed()
    }

    /// Tells everybody that what they wait for doesn't exist any more.
    pub(super) fn dismiss(&self) {
        self.listeners.dismiss();
    }
}

impl NewsCount {
    fn add(&mut self, news: News) {
        match news {
            News::Events => self.events += 1,
            News::Definitions => self.definitions += 1,
        }
    }

    /// Takes note of one kind of news that came meanwhile.
    fn catch_up(&mut self, now: Self) -> Option<News> {
        if self.events != now.events {
            self.events = now.events;
            Some(News::Events)
        } else if self.definitions != now.definitions {
            self.definitions = now.definitions;
            Some(News::Definitions)
        } else {
            None
        }
    }
}

impl Outcomes {
    fn add(&mut self, id: InvocationId, outcomes: &[u8]) {
        if self.by_id.insert(id, outcomes.to_vec()).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > OUTCOMES {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.by_id.remove(&oldest));
        }
    }
}

impl Watchers {
    fn add(&mut self, id: InvocationId, watcher: Watcher) {
        let waiting = self.by_id.entry(id).or_default();
        if waiting.len() == waiting.capacity() {
            // Only before the list would grow, so that a long list isn't searched for each that comes.
            waiting.retain(|watcher| !watcher.sender.is_closed());
        }
        waiting.push(watcher);
    }
}

impl Listeners {
    fn sink(&self) -> Option<PubSubSink> {
        lock(&self.sink).clone()
    }

    /// Adds a listener; gives the channels that nobody listens to any more.
    fn add(&self, listener: Listener) -> Vec<Vec<u8>> {
        let mut runners = lock(&self.runners);
        let (open, closed): (Vec<_>, Vec<_>) = runners.drain(..).partition(|listener| !listener.sender.is_closed());
        *runners = open;
        runners.push(listener);
        let is_wanted = |gone: &Listener| runners.iter().any(|listener| listener.channel == gone.channel);
        closed.iter().filter(|gone| !is_wanted(gone)).map(|gone| gone.channel.clone()).collect()
    }

    async fn connect(&self, connection: PubSub, mut channels: Vec<Vec<u8>>) -> Result<PubSubStream> {
        let (mut sink, stream) = connection.split();
        channels.extend(lock(&self.runners).iter().map(|listener| listener.channel.clone()));
        self.answered(sink.subscribe(channels)).await?;
        *lock(&self.sink) = Some(sink);
        Ok(stream)
    }

    async fn answered<T>(&self, request: impl Future<Output = redis::RedisResult<T>>) -> Result<T> {
        timeout(self.patience, request).await.map_err(|_| lost())?.map_err(classified)
    }

    /// Hands out what comes, over a new connection when the old one is lost, until the store is gone.
    async fn serve(&self, mut stream: PubSubStream, channels: Vec<Vec<u8>>, store: Weak<Shared>) {
        loop {
            self.hand_out(&mut stream, &store).await;
            lock(&self.sink).take();
            match self.reconnected(&channels, &store).await {
                Some(new) => stream = new,
                None => return,
            }
            self.look_again(&store).await;
        }
    }

    /// Hands out what comes until the connection is lost.
    async fn hand_out(&self, stream: &mut PubSubStream, store: &Weak<Shared>) {
        let mut looked_up_to = None;
        loop {
            match timeout(self.patience, stream.next()).await {
                Ok(Some(message)) => {
                    if let Err(error) = self.tell(message.get_payload_bytes(), &channel_of(&message)) {
                        tracing::warn!(%error, "a message can't be understood; what is waited for is read again");
                        self.look_again(store).await;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    let Some(mut sink) = self.sink() else { return };
                    if self.answered(sink.ping::<redis::Value>()).await.is_err() {
                        return;
                    }
                    looked_up_to = self.look_at_some(store, looked_up_to).await;
                }
            }
        }
    }

    async fn reconnected(&self, channels: &[Vec<u8>], store: &Weak<Shared>) -> Option<PubSubStream> {
        let mut pause = Duration::from_millis(50);
        loop {
            let connecting = RedisStore::upgrade(store)?.server().clone();
            if let Ok(connection) = connecting.listen().await
                && let Ok(stream) = self.connect(connection, channels.to_vec()).await
            {
                return Some(stream);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Reads a batch of the ids that somebody waits for, beginning behind the last one: a store that was emptied pushes
    /// nothing. Returns the last id of the batch; nothing when all have been read.
    async fn look_at_some(&self, store: &Weak<Shared>, after: Option<InvocationId>) -> Option<InvocationId> {
        let mut ids: Vec<_> = lock(&self.watchers).by_id.keys().copied().filter(|id| Some(*id) > after).collect();
        ids.sort_unstable();
        let is_last = ids.len() <= BATCH;
        ids.truncate(BATCH);
        self.look_at(&RedisStore::upgrade(store)?, &ids).await;
        ids.last().copied().filter(|_| !is_last)
    }

    async fn look_at(&self, store: &RedisStore, ids: &[InvocationId]) {
        match look(store, ids).await {
            Ok(ended) => ended.into_iter().for_each(|(id, record)| self.ended(id, record.as_ref())),
            Err(error) => {
                tracing::debug!(%error, "the awaited ids are read again after a silence or a lost connection");
            }
        }
    }

    /// Reads again what somebody waits for, and has everybody look: what came meanwhile was told to nobody.
    async fn look_again(&self, store: &Weak<Shared>) {
        self.outbox();
        self.news(News::Events);
        self.news(News::Definitions);
        let ids: Vec<InvocationId> = lock(&self.watchers).by_id.keys().copied().collect();
        let Some(store) = RedisStore::upgrade(store) else { return };
        self.look_at(&store, &ids).await;
    }

    fn tell(&self, message: &[u8], channel: &[u8]) -> Result<()> {
        match message.split_first() {
            Some((b'E', ended)) => {
                let (id, record, outcomes) = told_end(ended)?;
                let is_watched = lock(&self.watchers).by_id.contains_key(&id);
                if is_watched && !outcomes.is_empty() {
                    lock(&self.outcomes).add(id, outcomes);
                }
                self.ended(id, Some(&record));
            }
            Some((b'C', id)) => self.cancel(Parse::new(id).id()?, channel),
            Some((b'O', _)) => self.outbox(),
            Some((b'T', _)) => self.news(News::Events),
            Some((b'D', _)) => self.news(News::Definitions),
            Some((b'P', _)) => self.dismiss(),
            _ => return Err(misshapen("a message")),
        }
        Ok(())
    }

    fn ended(&self, id: InvocationId, record: Option<&StatusRecord>) {
        let waiting = lock(&self.watchers).by_id.remove(&id).unwrap_or_default();
        // A watcher that has gone away wants no answer.
        for watcher in waiting {
            drop(watcher.sender.send((id, record.cloned())));
        }
    }

    fn dismiss(&self) {
        *lock(&self.outcomes) = Outcomes::default();
        for (id, waiting) in std::mem::take(&mut lock(&self.watchers).by_id) {
            for watcher in waiting {
                drop(watcher.sender.send((id, None)));
            }
        }
    }

    fn cancel(&self, id: InvocationId, channel: &[u8]) {
        let runner = channel.last_chunk::<16>().map(|bytes| RunnerId::from_bytes(*bytes));
        for listener in lock(&self.runners).iter().filter(|listener| Some(listener.runner) == runner) {
            drop(listener.sender.send(Signal::Cancel(id)));
        }
    }

    fn news(&self, news: News) {
        self.triggers.send_modify(|count| count.add(news));
    }

    /// Tells everybody that the outbox has entries: not everybody has the code that reacts.
    fn outbox(&self) {
        for listener in lock(&self.runners).iter() {
            if !listener.knows_of_outbox.swap(true, Ordering::AcqRel) {
                drop(listener.sender.send(Signal::Outbox));
            }
        }
    }
}

/// The channel's bytes; its name as text is for those that are text.
fn channel_of(message: &redis::Msg) -> Vec<u8> {
    message.get_channel().unwrap_or_default()
}

fn told_end(message: &[u8]) -> Result<(InvocationId, StatusRecord, &[u8])> {
    let mut parse = Parse::new(message);
    let (id, record) = (parse.id()?, codec::header_from(&mut parse)?);
    Ok((id, record, parse.rest()))
}

fn stream_of(receiver: UnboundedReceiver<Ended>) -> BoxStream<'static, Ended> {
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}

fn signals_of(mut receiver: UnboundedReceiver<Signal>, knows_of_outbox: Arc<AtomicBool>) -> BoxStream<'static, Signal> {
    stream::poll_fn(move |cx| {
        let signal = receiver.poll_recv(cx);
        if matches!(signal, Poll::Ready(Some(Signal::Outbox))) {
            knows_of_outbox.store(false, Ordering::Release);
        }
        signal
    })
    .boxed()
}

fn lost() -> Error {
    Error::unavailable("the connection for what is pushed is lost")
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
