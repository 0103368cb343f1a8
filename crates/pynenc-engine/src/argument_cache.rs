//! Moves large values from calls into the argument cache, and reads them back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lru::LruCache;
use pynenc_core::cached::{Decoded, Encoded};
use pynenc_core::config::ArgCacheConfig;
use pynenc_core::record::Payload;
use pynenc_core::{ArgCache, Digest, Error, ErrorKind, Result, Serializer, SerializerExt};
use quick_cache::sync::Cache;
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::de::DeserializeOwned;

/// The argument cache as the engine uses it, with a local cache of the content that this process has read.
pub(crate) struct LargeValues {
    store: Option<Arc<dyn ArgCache>>,
    config: ArgCacheConfig,
    keep: Duration,
    local: Mutex<Local>,
    /// Uploads and reads in progress: concurrent requests for the same content are performed once.
    sending: Cache<Digest, ()>,
    reading: Cache<Digest, Arc<Content>>,
}

/// Content that matches its digest, with its decoded value.
#[derive(Debug)]
pub(crate) struct Content {
    encoded: Encoded,
    decoded: Decoded,
}

/// A value that has to be stored before its call is submitted.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    digest: Digest,
    bytes: Bytes,
}

/// A fetched value: inline in its call, or content of the argument cache.
#[derive(Debug, Clone)]
pub(crate) enum Fetched {
    Inline(Bytes),
    Content(Arc<Content>),
}

impl Fetched {
    /// An encoded value with its decoded form.
    pub(crate) fn decoded(encoded: Encoded, decoded: Decoded) -> Self {
        Self::Content(Arc::new(Content { encoded, decoded }))
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Content(content) => content.encoded.bytes.clone(),
        }
    }

    pub(crate) fn decode<T: DeserializeOwned>(&self, serializer: &dyn Serializer) -> Result<T> {
        match self {
            Self::Inline(bytes) => serializer.decode_as(bytes),
            Self::Content(content) => content.decoded.decode(&content.encoded, serializer),
        }
    }
}

impl fmt::Debug for LargeValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeValues").field("store", &self.store).field("local", &*self.local()).finish_non_exhaustive()
    }
}

impl LargeValues {
    /// Content is kept for at least `retention`, the time for which finished invocations are kept.
    pub(crate) fn new(store: Option<Arc<dyn ArgCache>>, config: &ArgCacheConfig, retention: Duration) -> Self {
        Self {
            store,
            keep: config.ttl.max(retention),
            local: Mutex::new(Local::new(config)),
            sending: Cache::new(IN_PROGRESS),
            reading: Cache::new(IN_PROGRESS),
            config: config.clone(),
        }
    }

    /// How long content is kept after its last use.
    pub(crate) fn keep(&self) -> Duration {
        self.keep
    }

    /// Decides whether a value stays in its call or moves to the store. In the latter case it has to be uploaded.
    pub(crate) fn externalize(&self, value: Encoded, may_move: bool) -> Result<(Payload, Option<Upload>)> {
        let ArgCacheConfig { min_size_to_cache, max_size, .. } = self.config;
        let Encoded { bytes, digest } = value;
        if bytes.len() > max_size {
            return Err(too_large(bytes.len(), max_size));
        }
        if !may_move || bytes.len() < min_size_to_cache || self.store.is_none() {
            return Ok((Payload::Inline(bytes), None));
        }
        let digest = digest.unwrap_or_else(|| Digest::of(&bytes));
        let payload = Payload::External { digest, size: bytes.len() as u64 };
        Ok((payload, Some(Upload { digest, bytes })))
    }

    /// Uploads values that aren't in the store yet. They are kept for `wait` longer than usual.
    pub(crate) async fn send(&self, uploads: Vec<Upload>, wait: Duration) -> Result<()> {
        if uploads.is_empty() { Ok(()) } else { self.send_all(uploads, wait).await }
    }

    /// Boxed, as [`fetch_content`](Self::fetch_content): most values are small, and their futures shouldn't include
    /// the future for large ones. Callers in other crates then don't compile the future again, either.
    fn send_all(&self, uploads: Vec<Upload>, wait: Duration) -> BoxFuture<'_, Result<()>> {
        async move {
            let Some(store) = &self.store else { return Ok(()) };
            let keep = self.keep.saturating_add(wait);
            let unique: FxHashMap<Digest, Bytes> = uploads.into_iter().map(|it| (it.digest, it.bytes)).collect();
            let mut missing: Vec<_> = unique.into_iter().collect();
            if missing.len() > 1 {
                let digests: Vec<_> = missing.iter().map(|(digest, _)| *digest).collect();
                let mut are_there = store.renew(&digests, keep).await?.into_iter();
                missing.retain(|_| !are_there.next().unwrap_or(false));
            }
            for (digest, bytes) in missing {
                self.sending.get_or_insert_async(&digest, self.send_one(&**store, digest, bytes, keep)).await?;
                // Concurrent senders have shared this upload; a later one has to renew the content itself.
                self.sending.remove(&digest);
            }
            Ok(())
        }
        .boxed()
    }

    async fn send_one(&self, store: &dyn ArgCache, digest: Digest, bytes: Bytes, keep: Duration) -> Result<()> {
        if store.renew(&[digest], keep).await? != [true] {
            store.put(digest, packed(&bytes, self.config.min_size_to_compress), keep).await?;
        }
        Ok(())
    }

    /// Extends the retention of content whose invocations are still waiting. Returns for each digest whether its
    /// content is stored.
    pub(crate) async fn renew(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        match &self.store {
            Some(store) if !digests.is_empty() => store.renew(digests, self.keep).await,
            _ => Ok(vec![false; digests.len()]),
        }
    }

    /// Fetches a value. Concurrent fetches of the same content share one read.
    pub(crate) async fn fetch(&self, payload: &Payload) -> Result<Fetched> {
        match payload {
            Payload::Inline(bytes) => Ok(Fetched::Inline(bytes.clone())),
            Payload::External { digest, size } => {
                let found = self.local().find(digest);
                match found {
                    Some(content) => Ok(Fetched::Content(content)),
                    None => self.fetch_content(*digest, *size).await.map(Fetched::Content),
                }
            }
        }
    }

    fn fetch_content(&self, digest: Digest, size: u64) -> BoxFuture<'_, Result<Arc<Content>>> {
        async move {
            let content = self.reading.get_or_insert_async(&digest, self.find_or_read(digest, size)).await?;
            self.reading.remove(&digest);
            Ok(content)
        }
        .boxed()
    }

    /// Looks into the local cache again, because another fetch may have filled it meanwhile, and reads the store if
    /// needed.
    async fn find_or_read(&self, digest: Digest, size: u64) -> Result<Arc<Content>> {
        let found = self.local().find(&digest);
        if let Some(content) = found {
            return Ok(content);
        }
        let content = self.read(digest, size).await?;
        self.local().keep(digest, content.clone());
        Ok(content)
    }

    async fn read(&self, digest: Digest, size: u64) -> Result<Arc<Content>> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > self.config.max_size {
            return Err(too_large(size, self.config.max_size));
        }
        let gone =
            || unavailable("content is missing from the argument cache; see the setting `arg_cache.ttl`", digest);
        let store = self.store.as_ref().ok_or_else(gone)?;
        // Reads twice, because the first read may have been garbled in transit, with the stored content intact.
        for _ in 0..2 {
            let found = store.get(digest, self.keep).await?.ok_or_else(gone)?;
            if let Some(bytes) = unpacked(&found, size).filter(|bytes| Digest::of(bytes) == digest) {
                let encoded = Encoded { bytes, digest: Some(digest) };
                return Ok(Arc::new(Content { encoded, decoded: Decoded::default() }));
            }
        }
        // Removed, because a sender of the right content would otherwise find the digest and not upload its own.
        store.remove(digest).await?;
        Err(unavailable("content in the argument cache was altered: it doesn't match its digest", digest))
    }

    /// Empties the local cache and the store.
    pub(crate) async fn purge(&self) -> Result<()> {
        self.local().clear();
        match &self.store {
            Some(store) => store.purge().await,
            None => Ok(()),
        }
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The capacity of the tables of uploads and reads in progress.
const IN_PROGRESS: usize = 1000;

/// The content that this process has read: an LRU cache, limited in entries and in bytes.
struct Local {
    contents: LruCache<Digest, Arc<Content>, FxBuildHasher>,
    bytes: u64,
    max_entries: usize,
    max_bytes: u64,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("entries", &self.contents.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Local {
    fn new(config: &ArgCacheConfig) -> Self {
        Self {
            contents: LruCache::unbounded_with_hasher(FxBuildHasher),
            bytes: 0,
            max_entries: config.local_cache_size,
            max_bytes: config.local_cache_bytes,
        }
    }

    fn find(&mut self, digest: &Digest) -> Option<Arc<Content>> {
        self.contents.get(digest).cloned()
    }

    fn keep(&mut self, digest: Digest, content: Arc<Content>) {
        let size = content.size();
        if size > self.max_bytes {
            return;
        }
        let replaced = self.contents.put(digest, content);
        self.bytes += size;
        self.bytes -= replaced.map_or(0, |content| content.size());
        while self.bytes > self.max_bytes || self.contents.len() > self.max_entries {
            let Some((_, dropped)) = self.contents.pop_lru() else { return };
            self.bytes -= dropped.size();
        }
    }

    fn clear(&mut self) {
        self.contents.clear();
        self.bytes = 0;
    }
}

impl Content {
    fn size(&self) -> u64 {
        self.encoded.bytes.len() as u64
    }
}

/// The last byte of stored content says how the bytes before it are packed.
const RAW: u8 = 0;
const LZ4: u8 = 1;

/// Packs content for the store.
fn packed(bytes: &Bytes, min_size_to_compress: usize) -> Bytes {
    let compressed = (bytes.len() >= min_size_to_compress).then(|| lz4_flex::block::compress(bytes));
    let (mut content, kind) = match compressed.filter(|compressed| compressed.len() < bytes.len()) {
        Some(compressed) => (compressed, LZ4),
        None => ([bytes, &[][..]].concat(), RAW),
    };
    content.push(kind);
    content.into()
}

/// Unpacks stored content. `None` if it isn't `size` bytes long, or can't be unpacked.
fn unpacked(content: &Bytes, size: usize) -> Option<Bytes> {
    let (kind, packed) = content.split_last()?;
    match *kind {
        RAW => Some(content.slice(..packed.len())),
        LZ4 => lz4_flex::block::decompress(packed, size).ok().map(Bytes::from),
        _ => None,
    }
    .filter(|bytes| bytes.len() == size)
}

fn too_large(bytes: usize, limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "the value is larger than the setting `arg_cache.max_size`")
        .with("bytes", bytes)
        .with("limit", limit)
}

fn unavailable(message: &'static str, digest: Digest) -> Error {
    Error::new(ErrorKind::NotFound, message).with("digest", digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_compressed_only_if_that_makes_it_smaller() {
        let text = Bytes::from("text ".repeat(1000));
        let noise: Bytes = std::iter::successors(Some(1_u64), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005) + 1))
            .map(|n| (n >> 33) as u8)
            .take(5000)
            .collect();
        for (bytes, from, compressed) in [(&text, 5000, true), (&text, 5001, false), (&noise, 100, false)] {
            let content = packed(bytes, from);
            assert_eq!(content.len() < bytes.len(), compressed);
            assert_eq!(unpacked(&content, bytes.len()).as_ref(), Some(bytes));
        }
        assert_eq!(unpacked(&packed(&Bytes::new(), 0), 0), Some(Bytes::new()));
    }

    #[test]
    fn content_of_the_wrong_size_is_rejected() {
        let content = packed(&Bytes::from("text ".repeat(1000)), 0);
        assert_eq!(unpacked(&content, 4999), None);
        assert_eq!(unpacked(&content, 5001), None);
        assert_eq!(unpacked(&content.slice(..20), 5000), None);
        assert_eq!(unpacked(&Bytes::from_static(&[7, 9]), 1), None, "an unknown packing");
        assert_eq!(unpacked(&Bytes::new(), 0), None);
    }

    fn limited(entries: usize, bytes: u64) -> Local {
        let limits =
            ArgCacheConfig { local_cache_size: entries, local_cache_bytes: bytes, ..ArgCacheConfig::default() };
        Local::new(&limits)
    }

    fn keep(local: &mut Local, number: u8, bytes: usize) {
        let encoded = Encoded { bytes: vec![number; bytes].into(), digest: None };
        local.keep(Digest::of(&[number]), Arc::new(Content { encoded, decoded: Decoded::default() }));
    }

    fn kept(local: &Local) -> Vec<u8> {
        let mut numbers: Vec<_> = local.contents.iter().map(|(_, content)| content.encoded.bytes[0]).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn the_local_cache_is_limited_in_entries_and_in_bytes() {
        let (mut few, mut small, mut none) = (limited(3, 1000), limited(100, 1000), limited(0, 1000));
        for number in 0..50 {
            keep(&mut few, number, 10);
            keep(&mut small, number, 300);
            keep(&mut none, number, 1);
        }
        assert_eq!((kept(&few), kept(&small), kept(&none)), (vec![47, 48, 49], vec![47, 48, 49], vec![]));
        keep(&mut small, 100, 1001);
        assert_eq!(kept(&small), [47, 48, 49], "content larger than the whole cache isn't kept");
        keep(&mut small, 101, 1000);
        assert_eq!((kept(&small), small.bytes), (vec![101], 1000));
        keep(&mut small, 101, 1000);
        assert_eq!(small.bytes, 1000, "a replaced entry is counted once");
        small.clear();
        assert_eq!((kept(&small), small.bytes), (vec![], 0));
    }

    #[test]
    fn the_least_recently_used_entry_is_evicted_first() {
        let mut local = limited(3, 1000);
        (0..3).for_each(|number| keep(&mut local, number, 10));
        assert!(local.find(&Digest::of(&[0])).is_some());
        keep(&mut local, 3, 10);
        assert_eq!(kept(&local), [0, 2, 3]);
    }
}
