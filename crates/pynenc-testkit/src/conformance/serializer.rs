//! The trials of [`Serializer`].

#![expect(clippy::unused_async, reason = "a trial is a future, whatever it tries")]

use std::collections::BTreeMap;
use std::sync::Arc;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Serializer, SerializerExt};

use super::{Harness, trials};

type Given = Harness<dyn Serializer>;

trials! { pub Given:
    "a value that is encoded is decoded to the same value" => values_come_back,
    "an option that holds nothing, such as `Some(None)`, comes back as it was or is refused" => no_option_is_lost,
    "bytes behind the value are an error" => more_bytes_are_an_error,
    "bytes that are no value are an error, whatever they are" => other_bytes_are_an_error,
    "a value that is nothing but bytes takes hardly more room than they do" => bytes_take_their_room,
}

/// Runs the suite on a serializer.
pub fn check<S: Serializer>(make: impl Fn() -> S) {
    super::run(&trials(), async || {
        Harness::new(Arc::new(make()) as Arc<dyn Serializer>, Arc::new(ManualClock::default()))
    });
}

/// Makes a test that holds a serializer to its trait. Takes a closure that makes one.
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

async fn values_come_back(serializer: Given) {
    for value in values() {
        let bytes = serializer.encode(&value).expect("encode");
        assert_eq!(serializer.decode_as::<Value>(&bytes).expect("decode"), value);
    }
}

async fn no_option_is_lost(serializer: Given) {
    type Options = (Option<Option<u8>>, Option<()>);
    let options: [Options; 4] = [(Some(None), None), (None, Some(())), (None, None), (Some(Some(0)), None)];
    for value in options {
        match serializer.encode(&value) {
            Ok(bytes) => assert_eq!(serializer.decode_as::<Options>(&bytes).expect("decode"), value),
            Err(_) => assert!(value != (None, None) && value.0 != Some(Some(0)), "{value:?} isn't ambiguous"),
        }
    }
}

async fn more_bytes_are_an_error(serializer: Given) {
    let mut bytes = serializer.encode(&"a").expect("encode");
    bytes.extend(serializer.encode(&"b").expect("encode"));
    assert!(serializer.decode_as::<String>(&bytes).is_err());
}

async fn other_bytes_are_an_error(serializer: Given) {
    let bytes = serializer.encode(&values()[1]).expect("encode");
    for cut in 0..bytes.len() {
        assert!(serializer.decode_as::<Value>(&bytes[..cut]).is_err(), "cut to {cut} bytes");
    }
    for byte in 0..=u8::MAX {
        // Whether a byte repeated is some value is the format's affair: it must only come to an answer.
        drop(serializer.decode_as::<Value>(&[byte; 64]));
    }
}

async fn bytes_take_their_room(serializer: Given) {
    let value: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let bytes = serializer.encode(&value).expect("encode");
    assert!(bytes.len() < value.len() + value.len() / 2, "{} bytes for {}", bytes.len(), value.len());
    assert_eq!(serializer.decode_as::<Vec<u8>>(&bytes).expect("decode"), value);
}
