//! A serializer that only finds out whether a value is bytes or a certain newtype. It refuses every other value at
//! once.

use std::fmt;

use serde::ser::{Impossible, SerializeSeq};
use serde::{Serialize, Serializer};

/// A serializer that accepts one kind of value.
pub(crate) enum Probe<'a> {
    /// Accepts bytes or a sequence of bytes, and collects them behind this byte.
    Bytes(u8, &'a mut Vec<u8>),
    /// Accepts an element of a sequence of bytes.
    Byte(&'a mut Vec<u8>),
    /// Accepts a newtype of this name: sets the flag, and serializes the inner value.
    Newtype(&'static str, &'a mut bool),
    /// Accepts nothing.
    Nothing,
}

/// The error for a value of another kind.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is of another kind")
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

type Probed = Result<(), Refused>;

macro_rules! refused {
    ($($method:ident($($of:ty),*);)+) => {
        $(fn $method(self, $(_: $of),*) -> Probed { Err(Refused) })+
    };
}

macro_rules! refused_compounds {
    ($($method:ident($($of:ty),*) -> $compound:ident;)+) => {
        type SerializeTuple = Impossible<(), Refused>;
        type SerializeTupleStruct = Impossible<(), Refused>;
        type SerializeTupleVariant = Impossible<(), Refused>;
        type SerializeMap = Impossible<(), Refused>;
        type SerializeStruct = Impossible<(), Refused>;
        type SerializeStructVariant = Impossible<(), Refused>;
        $(fn $method(self, $(_: $of),*) -> Result<Self::$compound, Refused> { Err(Refused) })+
    };
}

impl<'a> Serializer for Probe<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Elements<'a>;

    refused! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32); serialize_f64(f64);
        serialize_char(char); serialize_str(&str); serialize_none(); serialize_unit();
        serialize_unit_struct(&'static str); serialize_unit_variant(&'static str, u32, &'static str);
    }

    refused_compounds! {
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_u8(self, byte: u8) -> Probed {
        let Self::Byte(bytes) = self else { return Err(Refused) };
        bytes.push(byte);
        Ok(())
    }

    fn serialize_bytes(self, found: &[u8]) -> Probed {
        let Self::Bytes(first, bytes) = self else { return Err(Refused) };
        bytes.reserve_exact(1 + found.len());
        bytes.push(first);
        bytes.extend_from_slice(found);
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Elements<'a>, Refused> {
        let Self::Bytes(first, bytes) = self else { return Err(Refused) };
        bytes.push(first);
        Ok(Elements(bytes))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, inner: &T) -> Probed {
        if matches!(self, Self::Bytes(..)) { inner.serialize(self) } else { Err(Refused) }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, inner: &T) -> Probed {
        match self {
            Self::Bytes(..) => inner.serialize(self),
            Self::Newtype(wanted, is_found) if name == wanted => {
                *is_found = true;
                inner.serialize(Self::Nothing)
            }
            _ => Err(Refused),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _inner: &T,
    ) -> Probed {
        Err(Refused)
    }
}

/// Collects the elements of a sequence of bytes.
pub(crate) struct Elements<'a>(&'a mut Vec<u8>);

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Probed {
        element.serialize(Probe::Byte(self.0))
    }

    fn end(self) -> Probed {
        Ok(())
    }
}
