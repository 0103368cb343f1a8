//! Large values: out of their calls into the argument cache, and back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use pynenc_core::cached::{Decoded, Encoded};
use pynenc_core::config::ArgCacheConfig;
use pynenc_core::record::Payload;
use pynenc_core::{ArgCache, Digest, Error, ErrorKind, Result, Serializer, SerializerExt};
use quick_cache::sync::Cache;
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::de::DeserializeOwned;

/// Moves large values, and keeps at hand what this process has read.
pub(crate) struct Contents {
    store: Arc<dyn ArgCache>,
    config: ArgCacheConfig,
    keep: Duration,
    local: Mutex<Local>,
    /// What is on its way: of several who send or read the same, one does.
    sending: Cache<Digest, ()>,
    reading: Cache<Digest, Arc<Content>>,
}

/// Content that was found to be what its digest says, with what it was decoded to.
#[derive(Debug)]
pub(crate) struct Content {
    encoded: Encoded,
    decoded: Decoded,
}

/// A value that has to be in the store before its call is.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    digest: Digest,
    bytes: Bytes,
}

/// A value that was fetched.
#[derive(Debug, Clone)]
pub(crate) enum Fetched {
    Inline(Bytes),
    Content(Arc<Content>),
}

impl Fetched {
    /// A value with what it was decoded to.
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

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("store", &self.store).field("local", &*self.local()).finish_non_exhaustive()
    }
}

impl Contents {
    /// Content is kept at least as long as what has ended is, which is `retention`.
    pub(crate) fn new(store: Arc<dyn ArgCache>, config: &ArgCacheConfig, retention: Duration) -> Self {
        Self {
            store,
            keep: config.ttl.max(retention),
            local: Mutex::new(Local::new(config)),
            sending: Cache::new(ON_THEIR_WAY),
            reading: Cache::new(ON_THEIR_WAY),
            config: config.clone(),
        }
    }

    /// How long content is kept after a use.
    pub(crate) fn keep(&self) -> Duration {
        self.keep
    }

    /// Where a value stands: in its call, or in the store, to which it then has to be sent.
    pub(crate) fn place(&self, value: Encoded, may_move: bool) -> Result<(Payload, Option<Upload>)> {
        let ArgCacheConfig { min_size_to_cache, max_size, .. } = self.config;
        let Encoded { bytes, digest } = value;
        if bytes.len() > max_size {
            return Err(too_large(bytes.len(), max_size));
        }
        if !may_move || bytes.len() < min_size_to_cache || !self.store.is_enabled() {
            return Ok((Payload::Inline(bytes), None));
        }
        let digest = digest.unwrap_or_else(|| Digest::of(&bytes));
        let payload = Payload::External { digest, size: bytes.len() as u64 };
        Ok((payload, Some(Upload { digest, bytes })))
    }

    /// Sends values that aren't in the store yet; they are kept for `wait` longer than others.
    pub(crate) async fn send(&self, uploads: Vec<Upload>, wait: Duration) -> Result<()> {
        // In a box, as in `fetch`: small values, which most are, don't carry the size of the way of large ones.
        if uploads.is_empty() { Ok(()) } else { Box::pin(self.send_all(uploads, wait)).await }
    }

    async fn send_all(&self, uploads: Vec<Upload>, wait: Duration) -> Result<()> {
        let keep = self.keep.saturating_add(wait);
        let unique: FxHashMap<Digest, Bytes> = uploads.into_iter().map(|it| (it.digest, it.bytes)).collect();
        let mut missing: Vec<_> = unique.into_iter().collect();
        if missing.len() > 1 {
            let digests: Vec<_> = missing.iter().map(|(digest, _)| *digest).collect();
            let mut are_there = self.store.renew(&digests, keep).await?.into_iter();
            missing.retain(|_| !are_there.next().unwrap_or(false));
        }
        for (digest, bytes) in missing {
            self.sending.get_or_insert_async(&digest, self.send_one(digest, bytes, keep)).await?;
            // Whoever waited for it has it; whoever comes now asks for himself.
            self.sending.remove(&digest);
        }
        Ok(())
    }

    async fn send_one(&self, digest: Digest, bytes: Bytes, keep: Duration) -> Result<()> {
        if self.store.renew(&[digest], keep).await? != [true] {
            self.store.put(digest, packed(&bytes, self.config.min_size_to_compress), keep).await?;
        }
        Ok(())
    }

    /// Keeps content for those who wait for longer than it was to be kept.
    /// Tells for each whether it is there.
    pub(crate) async fn renew(&self, digests: &[Digest]) -> Result<Vec<bool>> {
        if digests.is_empty() { Ok(Vec::new()) } else { self.store.renew(digests, self.keep).await }
    }

    /// The value, wherever it is. Content is read once by all who need it at the same time.
    pub(crate) async fn fetch(&self, payload: &Payload) -> Result<Fetched> {
        match payload {
            Payload::Inline(bytes) => Ok(Fetched::Inline(bytes.clone())),
            Payload::External { digest, size } => {
                let found = self.local().find(digest);
                match found {
                    Some(content) => Ok(Fetched::Content(content)),
                    None => Box::pin(self.fetch_content(*digest, *size)).await.map(Fetched::Content),
                }
            }
        }
    }

    async fn fetch_content(&self, digest: Digest, size: u64) -> Result<Arc<Content>> {
        let content = self.reading.get_or_insert_async(&digest, self.find_or_read(digest, size)).await?;
        self.reading.remove(&digest);
        Ok(content)
    }

    /// Somebody may have read it between the look into the local cache and this turn.
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
        // It may be garbled on its way once, and isn't altered then.
        for _ in 0..2 {
            let Some(found) = self.store.get(digest, self.keep).await? else {
                return Err(unavailable("externalized content is gone; see the setting arg_cache.ttl", digest));
            };
            if let Some(bytes) = unpacked(&found, size).filter(|bytes| Digest::of(bytes) == digest) {
                let encoded = Encoded { bytes, digest: Some(digest) };
                return Ok(Arc::new(Content { encoded, decoded: Decoded::default() }));
            }
        }
        // Else those who have the right content would find this one there, and not send theirs.
        self.store.remove(digest).await?;
        Err(unavailable("externalized content was altered", digest))
    }

    /// Forgets everything, here and in the store.
    pub(crate) async fn purge(&self) -> Result<()> {
        self.local().clear();
        self.store.purge().await
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for notes of what is on its way at the same time.
const ON_THEIR_WAY: usize = 1000;

/// What this process has read, limited in entries and in bytes: the least recently used goes first.
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

/// The last byte of stored content says what is before it.
const RAW: u8 = 0;
const LZ4: u8 = 1;

/// Content as it is stored.
fn packed(bytes: &Bytes, min_size_to_compress: usize) -> Bytes {
    let compressed = (bytes.len() >= min_size_to_compress).then(|| lz4_flex::block::compress(bytes));
    let (mut content, kind) = match compressed.filter(|compressed| compressed.len() < bytes.len()) {
        Some(compressed) => (compressed, LZ4),
        None => ([bytes, &[][..]].concat(), RAW),
    };
    content.push(kind);
    content.into()
}

/// The bytes of stored content, if there are as many as there should be.
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
    Error::new(ErrorKind::TooLarge, "value is larger than the setting arg_cache.max_size")
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
    fn content_is_compressed_where_that_makes_it_smaller() {
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
    fn content_of_another_size_is_no_content() {
        let content = packed(&Bytes::from("text ".repeat(1000)), 0);
        assert_eq!(unpacked(&content, 4999), None);
        assert_eq!(unpacked(&content, 5001), None);
        assert_eq!(unpacked(&content.slice(..20), 5000), None);
        assert_eq!(unpacked(&Bytes::from_static(&[7, 9]), 1), None, "of no known kind");
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
        assert_eq!(kept(&small), [47, 48, 49], "one that is larger than all there is isn't kept");
        keep(&mut small, 101, 1000);
        assert_eq!((kept(&small), small.bytes), (vec![101], 1000));
        keep(&mut small, 101, 1000);
        assert_eq!(small.bytes, 1000, "it is there once");
        small.clear();
        assert_eq!((kept(&small), small.bytes), (vec![], 0));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut local = limited(3, 1000);
        (0..3).for_each(|number| keep(&mut local, number, 10));
        assert!(local.find(&Digest::of(&[0])).is_some());
        keep(&mut local, 3, 10);
        assert_eq!(kept(&local), [0, 2, 3]);
    }
}
