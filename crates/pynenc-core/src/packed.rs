//! A compact binary encoding for stored records that only pynenc reads.
//!
//! A record is its fields in order, without names. Whole numbers have a variable length, texts and lists come behind
//! their length. The encoding isn't self-describing, so a change of a type's fields changes the layout of stored data.
//! Values of users don't use it: they go through a [`Serializer`](crate::Serializer).
//!
//! It exists beside serde because a derived `Deserialize` compiles to several thousand lines of machine code for each
//! type and each format.
//!
//! ```
//! use pynenc_core::packed::{pack, packed_struct, unpack};
//!
//! #[derive(Debug, PartialEq)]
//! struct Point {
//!     x: u64,
//!     name: Option<String>,
//! }
//!
//! packed_struct!(Point { x, name });
//!
//! let point = Point { x: 1, name: Some("a".to_owned()) };
//! assert_eq!(unpack::<Point>(&pack(&point))?, point);
//! # Ok::<(), pynenc_core::Error>(())
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{ClaimToken, Digest, InvocationId, QueueName, RunnerId, TaskId};

mod records;

#[doc(inline)]
pub use crate::packed_struct;

/// A value with a compact binary form.
pub trait Packed: Sized {
    /// Appends the value to `to`.
    fn pack(&self, to: &mut Vec<u8>);

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the bytes aren't those of such a value.
    fn unpack(from: &mut Unpack<'_>) -> Result<Self>;
}

/// Encodes a value.
pub fn pack<T: Packed>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value.pack(&mut bytes);
    bytes
}

/// Decodes a value.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the bytes aren't those of such a value, or if more bytes follow.
pub fn unpack<T: Packed>(bytes: &[u8]) -> Result<T> {
    let mut from = Unpack(bytes);
    let value = T::unpack(&mut from)?;
    from.end()?;
    Ok(value)
}

/// Implements [`Packed`] for a struct: all its fields, in order.
#[macro_export]
macro_rules! packed_struct {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::packed::Packed for $name {
            fn pack(&self, to: &mut ::std::vec::Vec<u8>) {
                let Self { $($field),+ } = self;
                $($crate::packed::Packed::pack($field, to);)+
            }

            fn unpack(from: &mut $crate::packed::Unpack<'_>) -> $crate::Result<Self> {
                // Evaluated in this order, which is the order of `pack`.
                ::std::result::Result::Ok(Self { $($field: $crate::packed::Packed::unpack(from)?),+ })
            }
        }
    };
}

/// The bytes that are still to be decoded.
#[derive(Debug)]
pub struct Unpack<'a>(&'a [u8]);

impl<'a> Unpack<'a> {
    /// Takes a number of bytes from the front.
    ///
    /// # Errors
    ///
    /// There are fewer bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Reads the number that says which variant of an enum follows.
    ///
    /// # Errors
    ///
    /// There are no more bytes.
    pub fn variant(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = u64::from(self.variant()?);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::corrupt("a stored number is too large"))
    }

    /// Reads a length. It is at most the number of bytes that follow, because each item has at least one byte.
    fn length(&mut self) -> Result<usize> {
        let length = self.number()?;
        if length > self.0.len() as u64 { Err(too_short()) } else { Ok(length as usize) }
    }

    fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.bytes(length)
    }

    fn text(&mut self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.sized()?);
        text.map_err(|error| Error::corrupt("a stored text isn't UTF-8").caused_by(error))
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::corrupt("a stored value has extra bytes at its end")) }
    }
}

fn too_short() -> Error {
    Error::corrupt("a stored value is too short")
}

/// The error for a number that stands for no variant of an enum.
pub fn unknown_variant(of: &'static str, found: u8) -> Error {
    Error::corrupt("a stored value has an unknown variant").with("type", of).with("found", found)
}

fn pack_number(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn pack_sized(bytes: &[u8], to: &mut Vec<u8>) {
    pack_number(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

impl Packed for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push((*self).into());
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(unknown_variant("bool", found)),
        }
    }
}

macro_rules! packed_number {
    ($($name:ty),+) => {$(
        impl Packed for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                pack_number((*self).into(), to);
            }

            fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
                <$name>::try_from(from.number()?).map_err(|_| Error::corrupt("a stored number is too large"))
            }
        }
    )+};
}

packed_number!(u8, u16, u32, u64);

impl Packed for Timestamp {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_number(self.as_millis(), to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        from.number().map(Self::from_millis)
    }
}

impl Packed for Duration {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_number(self.as_secs(), to);
        pack_number(self.subsec_nanos().into(), to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        let (seconds, nanos) = (from.number()?, u32::unpack(from)?);
        if nanos < 1_000_000_000 {
            Ok(Self::new(seconds, nanos))
        } else {
            Err(Error::corrupt("a stored duration has too many nanoseconds"))
        }
    }
}

macro_rules! packed_text {
    ($($name:ty),+) => {$(
        impl Packed for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                let text: &str = std::borrow::Borrow::borrow(self);
                pack_sized(text.as_bytes(), to);
            }

            fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
                from.text().map(Self::from)
            }
        }
    )+};
}

packed_text!(String, Box<str>, TaskId, QueueName);

impl Packed for Cow<'static, str> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_sized(self.as_bytes(), to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        from.text().map(|text| Self::Owned(text.to_owned()))
    }
}

impl Packed for Bytes {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_sized(self, to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        from.sized().map(Self::copy_from_slice)
    }
}

macro_rules! packed_array {
    ($($name:ty),+) => {$(
        impl Packed for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(self.as_bytes());
            }

            fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
                from.array().map(Self::from_bytes)
            }
        }
    )+};
}

packed_array!(InvocationId, RunnerId, ClaimToken, Digest);

impl<T: Packed> Packed for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Packed> Packed for Box<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        T::pack(self, to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        T::unpack(from).map(Self::new)
    }
}

impl<T: Packed> Packed for Arc<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        T::pack(self, to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        T::unpack(from).map(Self::new)
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_number(self.len() as u64, to);
        for item in self {
            item.pack(to);
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        let length = from.length()?;
        let mut items = Self::new();
        for _ in 0..length {
            items.push(T::unpack(from)?);
        }
        Ok(items)
    }
}

impl<A: Packed, B: Packed> Packed for (A, B) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        Ok((A::unpack(from)?, B::unpack(from)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;
    use crate::record::Payload;

    fn check<T: Packed + PartialEq + Debug>(value: &T) {
        let bytes = pack(value);
        assert_eq!(&unpack::<T>(&bytes).unwrap(), value);
        for length in 0..bytes.len() {
            assert_eq!(unpack::<T>(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupt, "{length} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(unpack::<T>(&longer).unwrap_err().to_string().contains("extra bytes"));
    }

    #[test]
    fn small_numbers_are_short() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            assert_eq!(pack(&number).len(), length, "{number}");
            check(&number);
        }
    }

    #[test]
    fn a_number_too_large_for_its_type_is_refused() {
        assert_eq!(unpack::<u8>(&pack(&256u64)).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(unpack::<u64>(&[0xff; 10]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(unpack::<u64>(&[0x80; 20]).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_impossible_length_allocates_nothing() {
        let huge = pack(&u64::MAX);
        assert!(unpack::<Vec<u64>>(&huge).is_err());
        assert!(unpack::<String>(&huge).is_err());
    }

    #[test]
    fn other_values_than_a_types_own_are_refused() {
        assert!(unpack::<bool>(&[2]).is_err());
        assert!(unpack::<Payload>(&[2, 0]).unwrap_err().to_string().contains("unknown variant"));
        assert!(unpack::<String>(&[1, 0xff]).unwrap_err().to_string().contains("UTF-8"));
        assert!(unpack::<Duration>(&pack(&(0u64, u32::MAX))).is_err());
    }

    proptest! {
        #[test]
        fn values_survive(
            number in any::<u64>(),
            text in any::<String>(),
            list in prop::collection::vec(any::<Option<u32>>(), 0..5),
            length in any::<Duration>(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            check(&((number, text.clone()), (list, length)));
            check(&(Bytes::from(bytes), (Box::<str>::from(text.as_str()), Cow::<'static, str>::Owned(text))));
            check(&(InvocationId::new(), (Digest::of(b"a"), Timestamp::from_millis(number))));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack::<crate::record::InvocationRecord>(&bytes);
            let _ = unpack::<crate::orchestrator::OutboxEntry>(&bytes);
            let _ = unpack::<crate::trigger_store::TriggerRun>(&bytes);
        }
    }
}
