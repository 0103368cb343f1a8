//! A serializer of one's own: JSON behind a checksum, so that a value that was altered in its store is an error rather
//! than another value.

use pynenc::core::erased_serde::Serialize;
use pynenc::core::serializer::{JsonSerializer, Read};
use pynenc::core::{Components, Digest, Error, Plugin, Result, Serializer};

/// Writes the SHA-256 digest of a value's JSON as 64 hexadecimal digits, then the JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChecksumSerializer;

const DIGITS: usize = 64;

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
        let (digits, json) = bytes.split_at_checked(DIGITS).ok_or_else(|| Error::corrupt("no checksum"))?;
        if Digest::of(json).to_string().as_bytes() != digits {
            return Err(Error::corrupt("the checksum doesn't match"));
        }
        JsonSerializer.decode(json, read)
    }
}

/// Brings the [`ChecksumSerializer`] to an app.
#[derive(Debug, Clone, Copy)]
pub struct ChecksumPlugin;

impl Plugin for ChecksumPlugin {
    fn register(&self, components: &mut Components) {
        components.serializer("custom_serializer::ChecksumSerializer", |_| async { Ok(ChecksumSerializer) });
    }
}
