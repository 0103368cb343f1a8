//! The `MessagePack` serializer.

use serde::Serialize;

use super::limits::{MAX_DEPTH, limited};
use super::{Read, Serializer, buffer, raw_bytes, undecodable, unencodable};
use crate::error::{Error, Result};

/// The `MessagePack` serializer, with named fields. The output is compact, and bytes are encoded as bytes.
///
/// A value that is nothing but a list of small numbers is encoded as bytes too. Refuses `Some(None)` and `Some(())`,
/// because they would be decoded as `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MsgPackSerializer;

impl Serializer for MsgPackSerializer {
    fn name(&self) -> &'static str {
        "MsgPackSerializer"
    }

    fn encode(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>> {
        if let Some(encoded) = raw_bytes::encode(value) {
            return Ok(encoded);
        }
        buffer::written(|buffer| {
            let mut pack = rmp_serde::Serializer::new(buffer).with_struct_map();
            limited(value).serialize(&mut pack).map_err(unencodable)
        })
    }

    fn decode(&self, bytes: &[u8], read: &mut Read<'_>) -> Result<()> {
        if let Some(raw) = raw_bytes::decode(bytes) {
            return raw.read_with(read).map_err(undecodable);
        }
        let mut rest = std::io::Cursor::new(bytes);
        let mut pack = rmp_serde::Deserializer::new(&mut rest);
        pack.set_max_depth(MAX_DEPTH + 1);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut pack)).map_err(undecodable)?;
        if rest.position() == bytes.len() as u64 { Ok(()) } else { Err(Error::corrupt("more bytes follow the value")) }
    }
}
