//! Trials of [`Serializer`].

#![expect(clippy::unused_async, reason = "every trial is an async function")]

use std::collections::BTreeMap;
use std::sync::Arc;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Serializer, SerializerExt};

use super::{Harness, trials};

type Given = Harness<dyn Serializer>;

trials! { pub Given:
    "an encoded value is decoded to the same value" => values_are_decoded,
    "an ambiguous option, such as `Some(None)`, is decoded as it was or refused" => ambiguous_options_are_kept_or_refused,
    "trailing bytes are an error" => trailing_bytes_are_an_error,
    "invalid bytes are an error" => invalid_bytes_are_an_error,
    "a list of bytes is encoded with little overhead" => bytes_have_little_overhead,
}

/// Runs the suite on a serializer.
pub fn check<S: Serializer>(make: impl Fn() -> S) {
    super::run(&trials(), async || {
        Harness::new(Arc::new(make()) as Arc<dyn Serializer>, Arc::new(ManualClock::default()))
    });
}

/// Defines a test that runs the suite. Takes a closure that makes a serializer.
#[macro_export]
macro_rules! serializer_conformance {
    ($make:expr) => {
        #[test]
        fn serializer_conformance() {
            $crate::conformance::serializer::check($make);
        }
    };
}

type Value = (Option<i64>, BTreeMap<String, Vec<u64>>, (bool, char), f64, ());

fn values() -> [Value; 2] {
    let map = BTreeMap::from([(String::new(), vec![]), ("ñ\0\"".into(), vec![0, u64::MAX])]);
    [(None, BTreeMap::new(), (false, 'a'), 0.0, ()), (Some(i64::MIN), map, (true, '\u{10ffff}'), -1.5e300, ())]
}

async fn values_are_decoded(serializer: Given) {
    for value in values() {
        let bytes = serializer.encode(&value).expect("encode");
        assert_eq!(serializer.decode_as::<Value>(&bytes).expect("decode"), value);
    }
}

async fn ambiguous_options_are_kept_or_refused(serializer: Given) {
    type Options = (Option<Option<u8>>, Option<()>);
    let options: [Options; 4] = [(Some(None), None), (None, Some(())), (None, None), (Some(Some(0)), None)];
    for value in options {
        match serializer.encode(&value) {
            Ok(bytes) => assert_eq!(serializer.decode_as::<Options>(&bytes).expect("decode"), value),
            Err(_) => assert!(value != (None, None) && value.0 != Some(Some(0)), "{value:?} isn't ambiguous"),
        }
    }
}

async fn trailing_bytes_are_an_error(serializer: Given) {
    let mut bytes = serializer.encode(&"a").expect("encode");
    bytes.extend(serializer.encode(&"b").expect("encode"));
    assert!(serializer.decode_as::<String>(&bytes).is_err());
}

async fn invalid_bytes_are_an_error(serializer: Given) {
    let bytes = serializer.encode(&values()[1]).expect("encode");
    for cut in 0..bytes.len() {
        assert!(serializer.decode_as::<Value>(&bytes[..cut]).is_err(), "cut to {cut} bytes");
    }
    for byte in 0..=u8::MAX {
        // Repeated bytes may be a value of the format. The serializer only has to return.
        drop(serializer.decode_as::<Value>(&[byte; 64]));
    }
}

async fn bytes_have_little_overhead(serializer: Given) {
    let value: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let bytes = serializer.encode(&value).expect("encode");
    assert!(bytes.len() < value.len() + value.len() / 2, "{} bytes for {}", bytes.len(), value.len());
    assert_eq!(serializer.decode_as::<Vec<u8>>(&bytes).expect("decode"), value);
}
