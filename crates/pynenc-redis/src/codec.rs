//! Binary encoding of stored values, script arguments and script replies. Numbers are big-endian.

use std::time::Duration;

use bytes::Bytes;
use pynenc_core::broker::Message;
use pynenc_core::page::Cursor;
use pynenc_core::status::Due;
use pynenc_core::{Digest, Error, InvocationId, Result, RunnerId, Timestamp};

/// The largest time or duration in milliseconds. A larger one is cut to this. A queue's scores multiply a time by 1024,
/// and the product has to be exact as a float.
pub(crate) const LARGEST_MILLIS: u64 = (1 << 43) - 1;

/// Appends values to bytes.
#[derive(Debug, Default)]
pub(crate) struct Pack(Vec<u8>);

impl Pack {
    pub(crate) fn new() -> Self {
        Self::with_capacity(128)
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u64) -> Self {
        self.0.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        self
    }

    pub(crate) fn u48(mut self, value: u64) -> Self {
        self.0.extend(&value.min(LARGEST_MILLIS).to_be_bytes()[2..]);
        self
    }

    pub(crate) fn millis(self, length: Duration) -> Self {
        self.u48(millis(length))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Bytes behind their length.
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        self.u16(bytes.len() as u16).bytes(bytes)
    }

    /// Bytes of any length behind their length, which has seven bits in each byte and a mark in all bytes but the last.
    pub(crate) fn long(mut self, bytes: &[u8]) -> Self {
        let mut length = bytes.len();
        while length >= 128 {
            self.0.push(length as u8 | 128);
            length >>= 7;
        }
        self.0.push(length as u8);
        self.bytes(bytes)
    }

    /// A due time: its kind, and its milliseconds.
    pub(crate) fn due(self, due: Option<Due>) -> Self {
        match due {
            None => self.u8(0).u48(0),
            Some(Due::In(delay)) => self.u8(1).millis(delay),
            Some(Due::At(time)) => self.u8(2).u48(time.as_millis()),
        }
    }

    /// A position in a listing; without one, the start.
    pub(crate) fn cursor(self, after: Option<Cursor>) -> Self {
        match after {
            Some(Cursor { at, id }) => self.u48(at.as_millis()).bytes(id.as_bytes()),
            None => self.u48(0).bytes(&[0; 16]),
        }
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Whole milliseconds, rounded up so that no delay is too short.
pub(crate) fn millis(length: Duration) -> u64 {
    (Timestamp::default() + length).as_millis().min(LARGEST_MILLIS)
}

/// Reads values from the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parse<'a>(&'a [u8]);

impl<'a> Parse<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self, length: usize) -> Result<u64> {
        Ok(self.bytes(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.number(1)? as u8)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(self.number(2)? as u16)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(self.number(4)? as u32)
    }

    pub(crate) fn u48(&mut self) -> Result<u64> {
        self.number(6)
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.u48()?))
    }

    pub(crate) fn duration(&mut self) -> Result<Duration> {
        self.u48().map(Duration::from_millis)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest> {
        self.array().map(Digest::from_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| cut_off())
    }

    pub(crate) fn id(&mut self) -> Result<InvocationId> {
        self.array().map(InvocationId::from_bytes)
    }

    pub(crate) fn runner(&mut self) -> Result<RunnerId> {
        self.array().map(RunnerId::from_bytes)
    }

    pub(crate) fn cursor(&mut self) -> Result<Cursor> {
        Ok(Cursor { at: self.time()?, id: self.id()? })
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    pub(crate) fn sized_text(&mut self) -> Result<&'a str> {
        text(self.sized()?)
    }

    pub(crate) fn long(&mut self) -> Result<&'a [u8]> {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.u8()?;
            length |= usize::from(byte & 127).checked_shl(shift).ok_or_else(cut_off)?;
            shift += 7;
            if byte < 128 {
                return self.bytes(length);
            }
        }
    }

    pub(crate) fn long_text(&mut self) -> Result<&'a str> {
        text(self.long()?)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| Error::corrupt("stored text isn't UTF-8").caused_by(error))
}

fn cut_off() -> Error {
    Error::corrupt("a stored value is too short")
}

/// Checks the lengths of names, which are stored in two bytes, a few of them together.
pub(crate) fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    match names.into_iter().find(|name| name.len() > usize::from(u16::MAX) / 4) {
        Some(name) => Err(Error::invalid("a name is too long for the store").with("bytes", name.len())),
        None => Ok(()),
    }
}

/// A hint as the script `push` takes it.
pub(crate) fn hint(message: &Message) -> Vec<u8> {
    Pack::new()
        .bytes(message.invocation.as_bytes())
        .u16(message.priority.level())
        .u48(message.not_before.map_or(0, Timestamp::as_millis))
        .bytes(message.queue.as_str().as_bytes())
        .done()
}

pub(crate) fn owned_bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_width() {
        let packed = Pack::new().u8(1).u16(2).u32(3).u48(4).sized(b"five").done();
        assert_eq!(packed.len(), 1 + 2 + 4 + 6 + 2 + 4);
        let mut parse = Parse::new(&packed);
        let numbers = (parse.u8().unwrap(), parse.u16().unwrap(), parse.u32().unwrap(), parse.u48().unwrap());
        assert_eq!(numbers, (1, 2, 3, 4));
        assert_eq!(parse.sized_text().unwrap(), "five");
        assert!(parse.u8().is_err());
    }

    #[test]
    fn long_values_have_any_length() {
        for length in [0, 1, 127, 128, 300, 1 << 14, 1 << 21] {
            let bytes = vec![7; length];
            let packed = Pack::new().long(&bytes).u8(1).done();
            let mut parse = Parse::new(&packed);
            assert_eq!(parse.long().unwrap(), bytes);
            assert_eq!(parse.rest(), [1]);
        }
        assert!(Parse::new(&[255; 20]).long().is_err(), "an endless length");
    }

    #[test]
    fn durations_are_shortened_to_the_longest_one() {
        assert_eq!(millis(Duration::MAX), LARGEST_MILLIS);
        assert_eq!(millis(Duration::from_micros(1)), 1);
    }
}
