//! Ids, names and digests.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        // Ordered and hashed as one number, which is faster than byte by byte. The order is the same.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(self.0.as_u128());
            }
        }

        impl $name {
            /// Creates a new id. Ids are ordered by the time of their creation (UUID version 7).
            #[expect(clippy::new_without_default, reason = "each call returns another value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Derives an id from `parent` and `name`. The same pair always gives the same id (UUID version 5).
            pub fn derived(parent: Uuid, name: &str) -> Self {
                Self(Uuid::new_v5(&parent, name.as_bytes()))
            }

            /// Returns the id as a UUID.
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// Returns the id's 16 bytes, the form in which stores keep it.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Creates an id from its 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::parse_str(text).map(Self).map_err(|error| {
                    let error = Error::invalid(concat!("invalid ", $what, " id: expected a UUID")).caused_by(error);
                    error.with("found", text)
                })
            }
        }
    };
}

uuid_id!(
    /// The id of an invocation, that is, of an accepted call.
    InvocationId, "invocation"
);
uuid_id!(
    /// The id of a runner. A retired runner continues under a new id.
    RunnerId, "runner"
);
uuid_id!(
    /// The id of one claim request. A repeat with the same token gets the same reply, in case the first was lost.
    ClaimToken, "claim"
);

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name_id!(
    /// The name of a task: `module::path::name`, or the name that `#[task(name = "..")]` sets.
    TaskId
);
name_id!(
    /// The name of a broker queue.
    QueueName
);

/// The SHA-256 digest of an argument's content, or of the values in a concurrency key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Computes the digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(content).into())
    }

    /// Creates a digest from the bytes of an earlier one.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the digest's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Reads the same form as a derived implementation. The loop avoids the 32 unrolled steps that serde generates for
/// arrays.
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("Digest", DigestVisitor).map(Self)
    }
}

struct DigestVisitor;

impl<'de> Visitor<'de> for DigestVisitor {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the 32 bytes of a digest")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<[u8; 32], D::Error> {
        deserializer.deserialize_tuple(32, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<[u8; 32], A::Error> {
        let mut digest = [0; 32];
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = bytes.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(index, &self))?;
        }
        Ok(digest)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("invalid digest: expected 64 hexadecimal digits").with("found", text);
        let bytes: Option<Vec<u8>> = (text.is_ascii() && text.len() == 64)
            .then(|| (0..32).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()).collect())
            .flatten();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_text_and_its_bytes() {
        let id = InvocationId::new();
        assert_eq!(id.to_string().parse::<InvocationId>().unwrap(), id);
        assert_eq!(InvocationId::from_bytes(*id.as_bytes()), id);
        assert!("order-7".parse::<InvocationId>().unwrap_err().to_string().contains("order-7"));
    }

    #[test]
    fn a_derived_id_is_the_same_each_time() {
        let parent = RunnerId::new().as_uuid();
        assert_eq!(InvocationId::derived(parent, "a"), InvocationId::derived(parent, "a"));
        assert_ne!(InvocationId::derived(parent, "a"), InvocationId::derived(parent, "b"));
    }

    #[test]
    fn ids_are_ordered_by_creation() {
        let ids: Vec<_> = (0..1000).map(|_| InvocationId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_digest_is_sha_256() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("ba78".parse::<Digest>().is_err() && "x".repeat(64).parse::<Digest>().is_err());
    }

    #[test]
    fn a_digest_is_stored_as_a_list_of_its_bytes() {
        let digest = Digest::of(b"abc");
        let (json, pack) = (serde_json::to_vec(&digest).unwrap(), rmp_serde::to_vec_named(&digest).unwrap());
        assert_eq!(json, serde_json::to_vec(digest.as_bytes()).unwrap());
        assert_eq!(pack, rmp_serde::to_vec_named(digest.as_bytes()).unwrap());
        assert_eq!(serde_json::from_slice::<Digest>(&json).unwrap(), digest);
        assert_eq!(rmp_serde::from_slice::<Digest>(&pack).unwrap(), digest);
        let short = serde_json::from_str::<Digest>("[1, 2]").unwrap_err().to_string();
        assert!(short.contains("length 2") && short.contains("32 bytes"), "{short}");
        assert!(serde_json::from_slice::<Digest>(&serde_json::to_vec(&vec![0; 33]).unwrap()).is_err());
    }
}
