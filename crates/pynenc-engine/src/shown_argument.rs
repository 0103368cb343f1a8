//! An argument in a form to compare and to show.

use std::fmt;

use pynenc_core::record::Payload;
use pynenc_core::{Digest, SerializerExt};

use crate::engine::Engine;

/// An argument in a form to compare and to show.
#[derive(Debug, PartialEq)]
pub(crate) enum ShownArgument {
    Value(serde_json::Value),
    /// The argument is in the argument cache, or has no JSON form.
    Content {
        digest: Digest,
        size: u64,
    },
}

impl fmt::Display for ShownArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Content { digest, size } => write!(f, "{size} bytes with the digest {digest}"),
        }
    }
}

impl Engine {
    /// An argument in a form to compare and to show: its value, so that the order of a map makes no difference.
    pub(crate) fn shown(&self, value: &Payload, serializer: &str) -> ShownArgument {
        match value {
            Payload::External { digest, size } => ShownArgument::Content { digest: *digest, size: *size },
            Payload::Inline(bytes) => {
                let value = self.reader(serializer).and_then(|reader| reader.decode_as(bytes));
                let content = |_| ShownArgument::Content { digest: Digest::of(bytes), size: bytes.len() as u64 };
                value.map_or_else(content, ShownArgument::Value)
            }
        }
    }
}
