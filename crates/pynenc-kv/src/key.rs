//! Keys as bytes whose order is that of the keys.

use std::fmt;
use std::hash::Hash;

use pynenc_core::page::Cursor;
use pynenc_core::{Digest, Error, InvocationId, QueueName, Result, RunnerId, TaskId, Timestamp};

/// A key with a form in bytes.
///
/// The order of the bytes is the order of the keys, and no key's bytes are the beginning of another key's bytes. So keys
/// can be written one behind the other.
pub trait Key: Clone + Ord + Hash + fmt::Debug + 'static {
    /// Appends the key to `to`.
    fn write(&self, to: &mut Vec<u8>);

    /// Reads a key from the front of `from`, and removes it there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](pynenc_core::ErrorKind::Corrupt) if the bytes aren't those of such a key.
    fn read(from: &mut &[u8]) -> Result<Self>;
}

fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk().ok_or_else(corrupt)?;
    *from = rest;
    Ok(*bytes)
}

fn corrupt() -> Error {
    Error::corrupt("a stored key has an unknown form")
}

impl Key for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut &[u8]) -> Result<Self> {
        Ok(())
    }
}

macro_rules! array_key {
    ($($name:ty),+) => {$(
        impl Key for $name {
            fn write(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(self.as_bytes());
            }

            fn read(from: &mut &[u8]) -> Result<Self> {
                take(from).map(Self::from_bytes)
            }
        }
    )+};
}

array_key!(InvocationId, RunnerId, Digest);

macro_rules! number_key {
    ($($name:ty),+) => {$(
        impl Key for $name {
            fn write(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_be_bytes());
            }

            fn read(from: &mut &[u8]) -> Result<Self> {
                take(from).map(Self::from_be_bytes)
            }
        }
    )+};
}

number_key!(u8, u32, u64);

impl Key for Timestamp {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_millis().write(to);
    }

    fn read(from: &mut &[u8]) -> Result<Self> {
        u64::read(from).map(Self::from_millis)
    }
}

impl Key for Cursor {
    fn write(&self, to: &mut Vec<u8>) {
        self.at.write(to);
        self.id.write(to);
    }

    fn read(from: &mut &[u8]) -> Result<Self> {
        Ok(Self { at: Key::read(from)?, id: Key::read(from)? })
    }
}

/// The end of a text. A zero within the text is followed by [`ESCAPED`].
const END: u8 = 0;
const ESCAPED: u8 = 1;

fn write_text(text: &str, to: &mut Vec<u8>) {
    for byte in text.bytes() {
        to.push(byte);
        if byte == 0 {
            to.push(ESCAPED);
        }
    }
    to.extend_from_slice(&[0, END]);
}

fn read_text(from: &mut &[u8]) -> Result<String> {
    let mut text = Vec::new();
    loop {
        match take::<1>(from)? {
            [0] => match take::<1>(from)? {
                [END] => break,
                [ESCAPED] => text.push(0),
                _ => return Err(corrupt()),
            },
            [byte] => text.push(byte),
        }
    }
    String::from_utf8(text).map_err(|_| corrupt())
}

macro_rules! text_key {
    ($($name:ty),+) => {$(
        impl Key for $name {
            fn write(&self, to: &mut Vec<u8>) {
                write_text(std::borrow::Borrow::<str>::borrow(self), to);
            }

            fn read(from: &mut &[u8]) -> Result<Self> {
                read_text(from).map(Self::from)
            }
        }
    )+};
}

text_key!(Box<str>, TaskId, QueueName);

impl<T: Key> Key for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(self.is_some().into());
        if let Some(key) = self {
            key.write(to);
        }
    }

    fn read(from: &mut &[u8]) -> Result<Self> {
        match u8::read(from)? {
            0 => Ok(None),
            1 => T::read(from).map(Some),
            _ => Err(corrupt()),
        }
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut &[u8]) -> Result<Self> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write(&self, to: &mut Vec<u8>) {
        self.0.write(to);
        self.1.write(to);
        self.2.write(to);
    }

    fn read(from: &mut &[u8]) -> Result<Self> {
        Ok((A::read(from)?, B::read(from)?, C::read(from)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(key: &impl Key) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.write(&mut bytes);
        bytes
    }

    fn check<K: Key>(one: &K, other: &K) {
        let (first, second) = (bytes(one), bytes(other));
        assert_eq!(first.cmp(&second), one.cmp(other), "{one:?} {other:?}");
        assert!(one == other || !second.starts_with(&first), "{one:?} {other:?}");
        let mut rest = &first[..];
        assert_eq!(&K::read(&mut rest).unwrap(), one);
        assert!(rest.is_empty());
        for length in 0..first.len() {
            assert!(K::read(&mut &first[..length]).is_err());
        }
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        prop::collection::vec(prop_oneof![Just('\0'), Just('\u{1}'), Just('a'), any::<char>()], 0..6)
            .prop_map(|letters| letters.into_iter().collect::<String>().into())
    }

    proptest! {
        #[test]
        fn the_order_of_the_bytes_is_the_order_of_the_keys(
            texts in (text(), text()),
            more in (prop::option::of(text()), prop::option::of(text())),
            numbers in any::<(u64, u64)>(),
            ids in any::<([u8; 16], [u8; 16])>(),
        ) {
            check(&texts.0, &texts.1);
            check(&(texts.0.clone(), more.0.clone()), &(texts.1.clone(), more.1));
            check(&(texts.0.clone(), more.0.clone(), numbers.0), &(texts.0, more.0, numbers.1));
            let (at, other_at) = (Timestamp::from_millis(numbers.0), Timestamp::from_millis(numbers.1));
            let (id, other_id) = (InvocationId::from_bytes(ids.0), InvocationId::from_bytes(ids.1));
            check(&Cursor { at, id }, &Cursor { at: other_at, id: other_id });
            check(&(numbers.0 as u32, numbers.0 as u8), &(numbers.1 as u32, numbers.1 as u8));
        }
    }
}
