//! Serializers: the encoding of values as bytes.
//!
//! [`JsonSerializer`] and [`MsgPackSerializer`] are built in. Both refuse values that couldn't be decoded again, and
//! both encode a value that is nothing but bytes as these bytes.

mod buffer;
mod json;
mod limits;
mod msgpack;
pub(crate) mod probe;
mod raw_bytes;

use std::any::type_name;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

pub use json::JsonSerializer;
pub use limits::{MAX_DEPTH, json_limited};
pub use msgpack::MsgPackSerializer;

/// Encodes values as bytes and decodes them.
///
/// # Behavior
///
/// - an encoded value is decoded to the same value
/// - an ambiguous option, such as `Some(None)`, is decoded as it was or refused
/// - trailing bytes are an error
/// - invalid bytes are an error
/// - a list of bytes is encoded with little overhead
pub trait Serializer: fmt::Debug + Send + Sync + 'static {
    /// The serializer's name. Records keep the name, so that the same serializer decodes their values.
    fn name(&self) -> &'static str;

    /// Encodes a value.
    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>>;

    /// Decodes one value by passing a deserializer to `read`.
    fn decode(&self, bytes: &[u8], read: &mut Read<'_>) -> Result<()>;
}

/// Reads a value from a deserializer.
pub type Read<'a> = dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error> + 'a;

/// The typed form of [`Serializer`].
pub trait SerializerExt: Serializer {
    /// Decodes a value of a known type.
    fn decode_as<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        let mut value = None;
        self.decode(bytes, &mut |deserializer| {
            value = Some(erased_serde::deserialize(deserializer)?);
            Ok(())
        })?;
        value.ok_or_else(|| {
            Error::new(ErrorKind::Unexpected, "the serializer returned no value").with("serializer", self.name())
        })
    }

    /// Encodes a value and checks that the bytes can be decoded, so that an unreadable value is refused before it is
    /// stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with the type of the value, if the encoding or the decoding fails.
    fn encode_readable<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Vec<u8>> {
        let bytes = self.encode(&value).map_err(|error| error.with("type", type_name::<T>()))?;
        self.decode_as::<T>(&bytes).map_err(|error| unreadable(&error).with("type", type_name::<T>()))?;
        Ok(bytes)
    }
}

/// Converts the error of a failed decoding into the error for a value that the serializer encodes but can't decode.
#[must_use]
pub fn unreadable(error: &Error) -> Error {
    let refused = Error::invalid("the serializer can write the value and can't read it back");
    error.context().iter().fold(refused, |refused, (key, value)| refused.with(key, value))
}

impl<S: Serializer + ?Sized> SerializerExt for S {}

fn unencodable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid("can't serialize the value").with("cause", &error).caused_by(error)
}

fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt("can't deserialize the value").with("cause", &error).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    const BOTH: [&dyn Serializer; 2] = [&JsonSerializer, &MsgPackSerializer];

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Dot,
        Named {
            name: String,
            #[serde(skip_serializing_if = "Option::is_none", default)]
            note: Option<i64>,
            last: bool,
        },
        Many(Vec<u32>, BTreeMap<String, i64>),
    }

    fn check(value: &Shape) {
        for serializer in BOTH {
            let bytes = serializer.encode(value).unwrap();
            assert_eq!(&serializer.decode_as::<Shape>(&bytes).unwrap(), value, "{}", serializer.name());
        }
    }

    #[test]
    fn values_are_decoded_as_they_were() {
        check(&Shape::Dot);
        check(&Shape::Named { name: "ñ\0".into(), note: None, last: true });
        check(&Shape::Many(vec![1, u32::MAX], BTreeMap::from([("k".into(), i64::MIN)])));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Option<Vec<u8>>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Bytes(Vec<u8>),
    }

    #[test]
    fn bytes_are_encoded_as_bytes_and_decoded_as_any_matching_type() {
        let plain: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for serializer in BOTH {
            let name = serializer.name();
            let encoded = serializer.encode(&plain).unwrap();
            assert_eq!(encoded.len(), plain.len() + 1, "{name}");
            assert_eq!(serializer.decode_as::<Vec<u8>>(&encoded).unwrap(), plain, "{name}");
            assert_eq!(serializer.decode_as::<::bytes::Bytes>(&encoded).unwrap(), plain, "{name}");
            assert_eq!(serializer.decode_as::<Vec<u64>>(&encoded).unwrap()[255], 255, "{name}");
            assert!(serializer.decode_as::<String>(&encoded).is_err(), "{name}");
            let same = serializer.encode(&::bytes::Bytes::from(plain.clone())).unwrap();
            assert_eq!(same, encoded, "{name}");
            let wrapped = serializer.encode(&Wrapped(Some(plain.clone()))).unwrap();
            assert_eq!(serializer.decode_as::<Wrapped>(&wrapped).unwrap(), Wrapped(Some(plain.clone())), "{name}");
            let either = serializer.encode(&Either::Bytes(plain.clone())).unwrap();
            assert_eq!(serializer.decode_as::<Either>(&either).unwrap(), Either::Bytes(plain.clone()), "{name}");
        }
    }

    #[test]
    fn a_few_bytes_and_other_lists_are_encoded_by_the_format() {
        let json =
            |value: &dyn erased_serde::Serialize| String::from_utf8(JsonSerializer.encode(value).unwrap()).unwrap();
        assert_eq!(json(&vec![1_u8, 2]), "[1,2]");
        assert_eq!(json(&Vec::<u8>::new()), "[]");
        assert_eq!(json(&vec![1_u16; 70]).len(), 141);
        assert_eq!(json(&vec!["a"; 2]), r#"["a","a"]"#);
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        for serializer in BOTH {
            let mut bytes = serializer.encode(&"a").unwrap();
            bytes.extend(serializer.encode(&"b").unwrap());
            assert!(serializer.decode_as::<String>(&bytes).is_err(), "{}", serializer.name());
        }
    }

    /// Builds lists nested `levels` deep.
    fn nested(levels: usize) -> serde_json::Value {
        (1..levels).fold(serde_json::json!([]), |inner, _| serde_json::Value::Array(vec![inner]))
    }

    /// Drops a deeply nested value level by level, because its destructor would overflow the stack.
    fn drop_by_level(mut value: serde_json::Value) {
        while let Some(inner) = value.as_array_mut().and_then(Vec::pop) {
            value = inner;
        }
    }

    #[test]
    fn a_value_that_nests_too_deep_is_refused_by_encoding_and_decoding() {
        let (deepest, too_deep, abyss) = (nested(MAX_DEPTH), nested(MAX_DEPTH + 1), nested(100_000));
        for serializer in BOTH {
            let name = serializer.name();
            let bytes = serializer.encode(&deepest).unwrap();
            assert_eq!(serializer.decode_as::<serde_json::Value>(&bytes).unwrap(), deepest, "{name}");
            for value in [&too_deep, &abyss] {
                let error = serializer.encode(value).unwrap_err();
                assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("127"), "{name}: {error}");
            }
        }
        for levels in [MAX_DEPTH + 1, 100_000] {
            let json = [vec![b'['; levels], vec![b']'; levels]].concat();
            assert!(JsonSerializer.decode_as::<serde_json::Value>(&json).is_err());
            let pack = [vec![0x91; levels - 1], vec![0x90]].concat();
            assert!(MsgPackSerializer.decode_as::<serde_json::Value>(&pack).is_err());
        }
        drop_by_level(abyss);
    }

    /// A chain of wrappers without any list or map.
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Link {
        Next(Inner<Option<Box<Link>>>),
        End(u8),
    }

    #[test]
    fn the_number_of_wrappers_is_limited() {
        let chain = |length| (0..length).fold(Link::End(7), |link, _| Link::Next(Inner(Some(Box::new(link)))));
        for serializer in BOTH {
            assert!(serializer.encode(&chain(400)).is_ok(), "{}", serializer.name());
            assert!(serializer.encode(&chain(600)).is_err(), "{}", serializer.name());
        }
    }

    #[test]
    fn encoding_and_decoding_count_levels_alike() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        enum Kind {
            Inner(Box<Kind>),
            Pair(Box<Kind>, u8),
            Named { kind: Box<Kind> },
            Map(BTreeMap<String, Kind>),
            Same((Box<Kind>,)),
            End,
        }
        for wrap in [
            |kind| Kind::Inner(Box::new(kind)),
            |kind| Kind::Pair(Box::new(kind), 7),
            |kind| Kind::Named { kind: Box::new(kind) },
            |kind| Kind::Map(BTreeMap::from([("k".to_owned(), kind)])),
            |kind| Kind::Same((Box::new(kind),)),
        ] {
            for levels in 40..=MAX_DEPTH + 1 {
                let value = (0..levels).fold(Kind::End, |kind, _| wrap(kind));
                for serializer in BOTH {
                    let Ok(bytes) = serializer.encode(&value) else { continue };
                    let name = serializer.name();
                    assert_eq!(serializer.decode_as::<Kind>(&bytes).unwrap(), value, "{name}, {levels} levels");
                }
            }
        }
    }

    #[test]
    fn values_that_a_format_cannot_represent_are_refused() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = JsonSerializer.encode(&vec![Some(odd)]).unwrap_err().to_string();
            assert!(error.contains("MsgPackSerializer"), "{error}");
            assert!(JsonSerializer.encode(&(odd as f32)).is_err());
            let bytes = MsgPackSerializer.encode(&odd).unwrap();
            assert_eq!(MsgPackSerializer.decode_as::<f64>(&bytes).unwrap().to_bits(), odd.to_bits());
        }
        assert!(JsonSerializer.decode_as::<f64>(b"1e400").is_err());
        assert!(JsonSerializer.decode_as::<String>(b"\"\xff\"").is_err());
        for text in ["", "\0", "\u{ffff}\u{10ffff}", "e\u{301}"] {
            for serializer in BOTH {
                let bytes = serializer.encode(&text).unwrap();
                assert_eq!(serializer.decode_as::<String>(&bytes).unwrap(), text, "{}", serializer.name());
            }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner<T>(T);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Marker;

    /// Checks that both serializers refuse `Some(value)`, at every depth.
    fn check_refused_in_some<T: Serialize>(value: T) {
        for serializer in BOTH {
            let value = Some(&value);
            let nested: [&dyn erased_serde::Serialize; 4] = [&value, &Inner(&value), &[&value], &Some(&value)];
            for value in nested {
                let error = serializer.encode(value).unwrap_err();
                assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("None"), "{error}");
            }
        }
    }

    fn check_round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
        for serializer in BOTH {
            let bytes = serializer.encode_readable(value).unwrap();
            assert_eq!(&serializer.decode_as::<T>(&bytes).unwrap(), value, "{}", serializer.name());
        }
    }

    #[test]
    fn an_option_that_would_be_decoded_as_none_is_refused() {
        check_refused_in_some(());
        check_refused_in_some(None::<u8>);
        check_refused_in_some(Some(None::<u8>));
        check_refused_in_some(Inner(Inner(None::<u8>)));
        check_refused_in_some(serde_json::Value::Null);
        assert!(JsonSerializer.encode(&Some(Marker)).unwrap_err().to_string().contains("Some(Marker)"));
        let bytes = MsgPackSerializer.encode(&Some(Marker)).unwrap();
        assert_eq!(MsgPackSerializer.decode_as::<Option<Marker>>(&bytes).unwrap(), Some(Marker));
    }

    #[test]
    fn unambiguous_options_are_decoded_as_they_were() {
        check_round_trip(&None::<Option<()>>);
        check_round_trip(&Some(Some(1)));
        check_round_trip(&Some(vec![None, Some(1)]));
        check_round_trip(&Some((None::<u8>, ())));
        check_round_trip(&Some(Ok::<Option<u8>, ()>(None)));
        check_round_trip(&Some(Err::<u8, ()>(())));
        check_round_trip(&(Some(1), None::<u8>, (), Marker));
        check_round_trip(&Inner(None::<u8>));
        check_round_trip(&Some(BTreeMap::from([("k".to_owned(), None::<u8>)])));
        check_round_trip(&Some(Shape::Named { name: "n".into(), note: None, last: false }));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Large { number: u128 },
    }

    #[test]
    fn the_error_for_an_unreadable_value_names_its_type() {
        for serializer in BOTH {
            let error = serializer.encode_readable(&Tagged::Large { number: u128::MAX }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains("Tagged") && error.to_string().contains("cause"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_number_is_decoded_as_it_was(bits in any::<u64>()) {
            let (double, single) = (f64::from_bits(bits), f32::from_bits(bits as u32));
            prop_assume!(double.is_finite() && single.is_finite());
            check_round_trip(&(double, single));
            check_round_trip(&(bits, bits.cast_signed(), bits as f64 / 1e9));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for serializer in BOTH {
                let _ = serializer.decode_as::<Shape>(&bytes);
            }
        }
    }
}
