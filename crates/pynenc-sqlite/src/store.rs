//! The store of one app in a file, which all components of the app in this process share.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use pynenc_core::component::StoreId;
use pynenc_core::{Clock, Result, async_trait};
use pynenc_kv::{KeyValue, KvStore, Listener, Step, Topic, WeakKvStore};
use tokio::sync::Mutex as AsyncMutex;

use crate::clock::StoreClock;
use crate::config::{SqliteConfig, Synchronous};
use crate::file::{File, FileKey, ListenerSlot};
use crate::location::{absolute, check_folder, content_file};
use crate::schema::Kind;
use crate::sql::AppKeys;
use crate::write_connection::App;

/// The key-value store of one app in a SQLite file.
pub(crate) struct FileStore {
    file: Arc<File>,
    app: Arc<App>,
    listener: Arc<ListenerSlot>,
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("file", &self.file).field("app", &self.app).finish_non_exhaustive()
    }
}

/// A file and the name of an app.
type StoreKey = (FileKey, Box<str>);

/// The files that are open in this process. They are locked while one is opened.
static FILES: LazyLock<AsyncMutex<HashMap<FileKey, Weak<File>>>> = LazyLock::new(AsyncMutex::default);
/// The stores that are open in this process. The components of an app find each other's connections here.
static STORES: LazyLock<Mutex<HashMap<StoreKey, (WeakKvStore, AppKeys)>>> = LazyLock::new(Mutex::default);

/// Finds the store of an app that is open already.
pub(crate) fn opened(config: &SqliteConfig, app_id: &str) -> Result<Option<(KvStore, AppKeys)>> {
    Ok(find(&(file_key(config, Kind::Main)?, app_id.into())))
}

fn find(key: &StoreKey) -> Option<(KvStore, AppKeys)> {
    let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    stores.get(key).and_then(|(store, keys)| Some((store.upgrade()?, *keys)))
}

fn file_key(config: &SqliteConfig, kind: Kind) -> Result<FileKey> {
    let path = absolute(&config.path)?;
    let path = if kind == Kind::Content { content_file(&path) } else { path };
    Ok(FileKey { path, kind, synchronous: config.synchronous, checkpoint: config.checkpoint })
}

/// Opens the store of an app, over the connections that this process has already, or new ones.
pub(crate) async fn open(config: &SqliteConfig, kind: Kind, app_id: &str, host: Arc<dyn Clock>) -> Result<KvStore> {
    let key = file_key(config, kind)?;
    let mut files = FILES.lock().await;
    let store_key = (key.clone(), app_id.into());
    if let Some((store, _)) = find(&store_key) {
        return Ok(store);
    }
    files.retain(|_, file| file.strong_count() > 0);
    let file = if let Some(file) = files.get(&key).and_then(Weak::upgrade) {
        file
    } else {
        check_folder(&key.path)?;
        Arc::new(File::open(&key).await?)
    };
    files.insert(key, Arc::downgrade(&file));
    let data = FileStore::new(file, app_id, host).await?;
    let (clock, keys) = (data.clock(), data.app.keys);
    let store = KvStore::new(Arc::new(data), clock);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    stores.retain(|_, (store, _)| store.upgrade().is_some());
    stores.insert(store_key, (store.downgrade(), keys));
    Ok(store)
}

impl FileStore {
    async fn new(file: Arc<File>, app_id: &str, host: Arc<dyn Clock>) -> Result<Self> {
        let app = Arc::new(App { keys: file.app(app_id).await?, clock: Arc::new(StoreClock::new(host)) });
        let store = Self { file, app, listener: Arc::default() };
        store.file.add_listener(&store.listener);
        Ok(store)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.key().path
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.app.clock.clone()
    }
}

#[cfg(test)]
mod tests;

#[async_trait]
impl KeyValue for FileStore {
    fn store_id(&self) -> StoreId {
        StoreId(format!("sqlite {} {}", self.path().display(), self.app.keys.number()).into())
    }

    fn write(&self, step: Box<dyn Step>) {
        self.file.write(&self.app, step);
    }

    fn read(&self, step: Box<dyn Step>) {
        self.file.read(self.app.keys, step);
    }

    fn listen(&self, listener: Listener) {
        if self.listener.set(listener).is_err() {
            tracing::debug!(file = %self.path().display(), "a second listener of a store is ignored");
        }
    }

    fn subscribe(&self, topic: Topic) {
        self.file.subscribe(self.app.keys, topic, &self.listener);
    }

    fn notify(&self, topic: Topic, notice: &[u8]) {
        self.file.notify(self.app.keys, topic, notice);
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        Ok(match self.file.key().synchronous {
            Synchronous::Full => Vec::new(),
            Synchronous::Normal => vec![
                "a power failure loses the last commits, because sqlite.synchronous is normal; set it to full".into(),
            ],
        })
    }
}
