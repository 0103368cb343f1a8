//! The encoding of values that are nothing but bytes: a marker byte, then the bytes.
//!
//! As numbers, bytes would take up to four times their size in JSON, and half as much again in `MessagePack`. No value
//! of either format begins with the marker.

use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

use super::Read;
use super::probe::Probe;
use crate::error::Result;

/// The marker byte. It begins no character, so no JSON begins with it, and `MessagePack` never uses it.
const MARKER: u8 = 0xc1;
/// A shorter encoding is left to the format, so that people can read it.
const MIN_LENGTH: usize = 64;

/// Encodes a value that is nothing but bytes. Returns none for other values and for a few bytes.
pub(super) fn encode(value: &dyn erased_serde::Serialize) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    value.serialize(Probe::Bytes(MARKER, &mut encoded)).ok()?;
    (encoded.len() > MIN_LENGTH).then_some(encoded)
}

/// Returns the bytes behind the marker, if there is a marker.
pub(super) fn decode(bytes: &[u8]) -> Option<RawBytes<'_>> {
    bytes.split_first().filter(|(first, _)| **first == MARKER).map(|(_, rest)| RawBytes(rest))
}

/// Deserializes bytes as bytes, or as a sequence of numbers for other types.
pub(super) struct RawBytes<'a>(&'a [u8]);

impl RawBytes<'_> {
    pub(super) fn read_with(self, read: &mut Read<'_>) -> Result<(), erased_serde::Error> {
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(self))
    }
}

type Refused = serde::de::value::Error;

impl<'de> Deserializer<'de> for RawBytes<'_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(SeqDeserializer::new(self.0.iter().copied()))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bytes(self.0)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_byte_buf(self.0.to_vec())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct
        map struct enum identifier ignored_any
    }
}
