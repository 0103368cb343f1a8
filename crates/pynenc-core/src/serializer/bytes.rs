//! Values that are nothing but bytes travel as these bytes, whatever the format does with them.
//!
//! As numbers they would take up to four times their room in JSON, and half as much again in `MessagePack`. Behind a mark
//! that begins no value of either format, they take one byte more than there are.

use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

use super::probe::Probe;
use crate::error::Result;

/// No JSON begins with it, for it begins no character; and `MessagePack` never uses it.
const MARK: u8 = 0xc1;
/// Fewer bytes are left as the format has them, which people can read.
const FEW: usize = 64;

/// The bytes of a value that is nothing else, behind the mark.
pub(super) fn framed(value: &dyn erased_serde::Serialize) -> Option<Vec<u8>> {
    let mut frame = vec![MARK];
    value.serialize(Probe::Bytes(&mut frame)).ok()?;
    (frame.len() > FEW).then_some(frame)
}

/// The bytes behind a mark, if there is one.
pub(super) fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split_first().filter(|(first, _)| **first == MARK).map(|(_, rest)| rest)
}

/// Gives bytes to whoever asks for bytes, and else a sequence of numbers, as the value was before.
pub(super) struct Framed<'a>(pub(super) &'a [u8]);

type Refused = serde::de::value::Error;

impl<'de> Deserializer<'de> for Framed<'_> {
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
