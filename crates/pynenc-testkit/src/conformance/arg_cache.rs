//! The trials of [`ArgCache`].

use bytes::Bytes;
use pynenc_core::{ArgCache, Digest};

use super::{Harness, suite, trials};

type Given = Harness<dyn ArgCache>;

suite!($ ArgCache, arg_cache, arg_cache_conformance);

trials! { pub Given:
    "content is read back as it was put" => content_is_read_back,
    "putting the same content twice keeps it once" => content_is_kept_once,
    "what is unknown is `None`" => unknown_is_none,
    "after a purge nothing is known" => purged_is_unknown,
}

fn content(text: &'static str) -> (Digest, Bytes) {
    (Digest::of(text.as_bytes()), Bytes::from_static(text.as_bytes()))
}

async fn content_is_read_back(cache: Given) {
    for text in ["", "a", "\0binary\u{ff}"] {
        let (digest, bytes) = content(text);
        cache.put(digest, bytes.clone()).await.expect("put");
        assert_eq!(cache.get(digest).await.expect("get"), Some(bytes));
    }
}

async fn content_is_kept_once(cache: Given) {
    let (digest, bytes) = content("a");
    cache.put(digest, bytes.clone()).await.expect("put");
    cache.put(digest, bytes.clone()).await.expect("put again");
    assert_eq!(cache.get(digest).await.expect("get"), Some(bytes));
}

async fn unknown_is_none(cache: Given) {
    assert_eq!(cache.get(content("a").0).await.expect("get"), None);
}

async fn purged_is_unknown(cache: Given) {
    let (digest, bytes) = content("a");
    cache.put(digest, bytes).await.expect("put");
    cache.purge().await.expect("purge");
    assert_eq!(cache.get(digest).await.expect("get"), None);
}
