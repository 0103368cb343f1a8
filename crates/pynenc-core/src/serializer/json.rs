//! The JSON serializer.

use super::limits::json_limited;
use super::{Read, Serializer, buffer, raw_bytes, undecodable, unencodable};
use crate::error::Result;

/// The JSON serializer, whose output people can read.
///
/// A value that is nothing but bytes is encoded as these bytes, unless it has only a few. Bytes inside of another value
/// become an array of numbers.
///
/// Refuses NaN and the infinities, because JSON can't represent them. Refuses options that would be decoded as `None`
/// although they aren't, such as `Some(None)` or `Some(())`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonSerializer;

impl Serializer for JsonSerializer {
    fn name(&self) -> &'static str {
        "JsonSerializer"
    }

    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>> {
        match raw_bytes::encode(value) {
            Some(encoded) => Ok(encoded),
            None => buffer::written(|buffer| serde_json::to_writer(buffer, &json_limited(value)).map_err(unencodable)),
        }
    }

    fn decode(&self, bytes: &[u8], read: &mut Read<'_>) -> Result<()> {
        if let Some(raw) = raw_bytes::decode(bytes) {
            return raw.read_with(read).map_err(undecodable);
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json)).map_err(undecodable)?;
        json.end().map_err(undecodable)
    }
}
