//! A serializer that stores a checksum in front of JSON, so that reading a value that was altered in its store fails.

use pynenc::core::erased_serde::Serialize;
use pynenc::core::serializer::{JsonSerializer, Read};
use pynenc::core::{Components, Digest, Error, Plugin, Result, Serializer};

/// Writes the SHA-256 digest of a value's JSON in 64 hexadecimal digits, followed by the JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChecksumSerializer;

const CHECKSUM_DIGITS: usize = 64;

impl Serializer for ChecksumSerializer {
    fn name(&self) -> &'static str {
        "ChecksumSerializer"
    }

    fn encode(&self, value: &dyn Serialize) -> Result<Vec<u8>> {
        let json = JsonSerializer.encode(value)?;
        let mut bytes = Digest::of(&json).to_string().into_bytes();
        bytes.extend(json);
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8], read: &mut Read<'_>) -> Result<()> {
        let (digits, json) =
            bytes.split_at_checked(CHECKSUM_DIGITS).ok_or_else(|| Error::corrupt("the value has no checksum"))?;
        if Digest::of(json).to_string().as_bytes() != digits {
            return Err(Error::corrupt("the checksum doesn't match the value"));
        }
        JsonSerializer.decode(json, read)
    }
}

/// Adds the [`ChecksumSerializer`] to an app, which selects it by its name in `serializer_cls`.
#[derive(Debug, Clone, Copy)]
pub struct ChecksumPlugin;

impl Plugin for ChecksumPlugin {
    fn register(&self, components: &mut Components) {
        components.serializer("custom_serializer::ChecksumSerializer", |_| async { Ok(ChecksumSerializer) });
    }
}
