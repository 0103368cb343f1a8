//! Trials of [`ArgCache`].

use bytes::Bytes;
use pynenc_core::{ArgCache, Digest};

use super::sample::{HOUR, SECOND};
use super::{Harness, suite, trials};

type Given = Harness<dyn ArgCache>;

suite!($ ArgCache, arg_cache, arg_cache_conformance);

trials! { pub Given:
    "stored content is reported as stored, and unknown content isn't" => stored_is_reported,
    "a renewal keeps stored content for at least `keep` from now" => renewed_is_kept,
    "content is read back as it was put" => content_is_read_back,
    "putting the same content twice stores it once" => content_is_stored_once,
    "content expires when it wasn't used for its lifetime" => unused_expires,
    "no use shortens the lifetime of content" => lifetime_is_never_shortened,
    "reading unknown content gives `None`" => unknown_is_none,
    "a read keeps content for at least `keep` from now" => read_is_kept,
    "removed content is unknown, and other content stays" => removed_is_unknown,
    "after a purge the cache is empty" => purged_is_empty,
}

fn content(text: &'static str) -> (Digest, Bytes) {
    (Digest::of(text.as_bytes()), Bytes::from_static(text.as_bytes()))
}

impl Given {
    async fn given(&self, text: &'static str, keep: std::time::Duration) -> Digest {
        let (digest, bytes) = content(text);
        self.put(digest, bytes, keep).await.expect("put");
        digest
    }

    /// Reads content without extending its lifetime.
    async fn read(&self, digest: Digest) -> Option<Bytes> {
        self.get(digest, SECOND).await.expect("get")
    }

    async fn are_stored(&self, digests: &[Digest]) -> Vec<bool> {
        self.renew(digests, SECOND).await.expect("renew")
    }
}

async fn stored_is_reported(cache: Given) {
    let first = cache.given("a", HOUR).await;
    let unknown = content("b").0;
    assert_eq!(cache.are_stored(&[unknown, first, unknown]).await, [false, true, false]);
    assert!(cache.are_stored(&[]).await.is_empty());
    assert_eq!(cache.read(unknown).await, None, "a renewal stores nothing");
}

async fn renewed_is_kept(cache: Given) {
    let digests = [cache.given("a", HOUR).await, cache.given("b", HOUR).await];
    cache.advance(HOUR / 2).await;
    assert_eq!(cache.renew(&digests[..1], HOUR).await.expect("renew"), [true]);
    cache.advance(HOUR / 2 + SECOND).await;
    assert_eq!(cache.are_stored(&digests).await, [true, false]);
}

async fn content_is_read_back(cache: Given) {
    for text in ["", "a", "\0binary\u{ff}"] {
        let digest = cache.given(text, HOUR).await;
        assert_eq!(cache.read(digest).await, Some(content(text).1));
    }
}

async fn content_is_stored_once(cache: Given) {
    cache.given("a", HOUR).await;
    let digest = cache.given("a", HOUR).await;
    assert_eq!(cache.read(digest).await, Some(content("a").1));
    cache.remove(digest).await.expect("remove");
    assert_eq!(cache.read(digest).await, None);
}

async fn unused_expires(cache: Given) {
    let (short, long) = (cache.given("short", HOUR).await, cache.given("long", HOUR * 3).await);
    cache.advance(SECOND * 3599).await;
    assert_eq!(cache.are_stored(&[short, long]).await, [true, true]);
    cache.advance(SECOND).await;
    assert_eq!(cache.are_stored(&[short, long]).await, [false, true]);
    assert_eq!(cache.read(short).await, None);
    let again = cache.given("short", HOUR).await;
    assert_eq!(cache.read(again).await, Some(content("short").1), "expired content can be put again");
}

async fn lifetime_is_never_shortened(cache: Given) {
    let digest = cache.given("a", HOUR * 2).await;
    cache.given("a", SECOND).await;
    cache.read(digest).await;
    cache.are_stored(&[digest]).await;
    cache.advance(SECOND * 7199).await;
    assert_eq!(cache.read(digest).await, Some(content("a").1));
}

async fn unknown_is_none(cache: Given) {
    assert_eq!(cache.read(content("a").0).await, None);
}

async fn read_is_kept(cache: Given) {
    let digest = cache.given("a", HOUR).await;
    cache.advance(HOUR / 2).await;
    assert_eq!(cache.get(digest, HOUR).await.expect("get"), Some(content("a").1));
    cache.advance(HOUR / 2 + SECOND).await;
    assert_eq!(cache.are_stored(&[digest]).await, [true]);
}

async fn removed_is_unknown(cache: Given) {
    let digests = [cache.given("a", HOUR).await, cache.given("b", HOUR).await];
    cache.remove(digests[0]).await.expect("remove");
    cache.remove(digests[0]).await.expect("remove again");
    assert_eq!(cache.are_stored(&digests).await, [false, true]);
}

async fn purged_is_empty(cache: Given) {
    let digest = cache.given("a", HOUR).await;
    cache.purge().await.expect("purge");
    assert_eq!(cache.read(digest).await, None);
    assert_eq!(cache.are_stored(&[digest]).await, [false]);
}
