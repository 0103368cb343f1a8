//! Limits on the values that are encoded. They refuse values that couldn't be decoded to the same value:
//!
//! - values that nest too deep, which would also overflow a thread's stack
//! - numbers that JSON can't represent
//! - options that would be decoded as `None`, such as `Some(None)`

use std::fmt::Display;

use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};
use serde::{Serialize, Serializer};

/// The deepest nesting of lists, maps and structs in a value.
///
/// Deeper values are refused by encoding and by decoding: a deeply nested value could overflow the stack of a thread.
pub const MAX_DEPTH: usize = 127;

/// The most options and newtypes around the deepest value.
const MAX_WRAPPERS: usize = 1000;

/// Wraps a value so that serializing fails if the value nests deeper than [`MAX_DEPTH`], or if it has an option that
/// would be decoded as `None` although it isn't.
pub(super) fn limited(value: &dyn erased_serde::Serialize) -> impl Serialize + '_ {
    Within { value, limits: Limits::new(false) }
}

/// Wraps a value so that serializing fails if JSON can't represent the value.
///
/// JSON can't represent a value that nests deeper than [`MAX_DEPTH`], NaN, the infinities, and options such as
/// `Some(None)` or `Some(())`, which would become `null` and be decoded as `None`.
pub fn json_limited(value: &dyn erased_serde::Serialize) -> impl Serialize + '_ {
    Within { value, limits: Limits::new(true) }
}

/// The limits that remain for a value at its depth.
#[derive(Clone, Copy)]
struct Limits {
    levels: usize,
    wrappers: usize,
    is_json: bool,
    /// Whether the value is the content of an option, directly or within newtypes.
    is_in_some: bool,
}

impl Limits {
    fn new(is_json: bool) -> Self {
        Self { levels: MAX_DEPTH, wrappers: MAX_WRAPPERS, is_json, is_in_some: false }
    }

    /// Returns the limits inside of `levels` more levels. A variant counts as a map around its content.
    fn inside<E: Error>(self, levels: usize) -> Result<Self, E> {
        match self.levels.checked_sub(levels) {
            Some(levels) => Ok(Self { levels, is_in_some: false, ..self }),
            None => Err(E::custom(format_args!("the value nests deeper than {MAX_DEPTH} levels"))),
        }
    }

    fn wrapped<E: Error>(self) -> Result<Self, E> {
        match self.wrappers.checked_sub(1) {
            Some(wrappers) => Ok(Self { wrappers, ..self }),
            None => Err(E::custom(format_args!("more than {MAX_WRAPPERS} options and newtypes wrap the value"))),
        }
    }

    /// Refuses a null inside of an option: it would be decoded as `None`.
    fn check_null<E: Error>(self, name: &str) -> Result<(), E> {
        if self.is_in_some {
            return Err(E::custom(format_args!(
                "Some({name}) would be decoded as None; wrap the inner value in a struct or an enum"
            )));
        }
        Ok(())
    }

    fn check_number<E: Error>(self, number: f64) -> Result<(), E> {
        if self.is_json && !number.is_finite() {
            return Err(E::custom(format_args!(
                "JSON can't represent {number}; convert the number to text, or set serializer_cls to MsgPackSerializer"
            )));
        }
        Ok(())
    }
}

/// A value that is serialized with limits.
struct Within<'a, T: ?Sized> {
    value: &'a T,
    limits: Limits,
}

impl<T: Serialize + ?Sized> Serialize for Within<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Limited { inner: serializer, limits: self.limits })
    }
}

/// A serializer, or its part for a compound value, that checks the limits of each value.
struct Limited<S> {
    inner: S,
    limits: Limits,
}

macro_rules! plain {
    ($($method:ident($($name:ident: $of:ty),*);)+) => {
        $(fn $method(self, $($name: $of),*) -> Result<S::Ok, S::Error> { self.inner.$method($($name),*) })+
    };
}

macro_rules! compounds {
    ($($method:ident($($name:ident: $of:ty),*) -> $compound:ident inside $levels:literal;)+) => {
        $(fn $method(self, $($name: $of),*) -> Result<Self::$compound, S::Error> {
            let limits = self.limits.inside($levels)?;
            Ok(Limited { inner: self.inner.$method($($name),*)?, limits })
        })+
    };
}

impl<S: Serializer> Serializer for Limited<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Limited<S::SerializeSeq>;
    type SerializeTuple = Limited<S::SerializeTuple>;
    type SerializeTupleStruct = Limited<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Limited<S::SerializeTupleVariant>;
    type SerializeMap = Limited<S::SerializeMap>;
    type SerializeStruct = Limited<S::SerializeStruct>;
    type SerializeStructVariant = Limited<S::SerializeStructVariant>;

    plain! {
        serialize_bool(value: bool); serialize_char(value: char); serialize_str(value: &str);
        serialize_i8(value: i8); serialize_i16(value: i16); serialize_i32(value: i32); serialize_i64(value: i64);
        serialize_u8(value: u8); serialize_u16(value: u16); serialize_u32(value: u32); serialize_u64(value: u64);
        serialize_i128(value: i128); serialize_u128(value: u128); serialize_bytes(value: &[u8]);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    compounds! {
        serialize_seq(len: Option<usize>) -> SerializeSeq inside 1;
        serialize_tuple(len: usize) -> SerializeTuple inside 1;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct inside 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant inside 2;
        serialize_map(len: Option<usize>) -> SerializeMap inside 1;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct inside 1;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant inside 2;
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.limits.check_number(value.into())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.limits.check_number(value)?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.limits.check_null("None")?;
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.limits.check_null("()")?;
        self.inner.serialize_unit()
    }

    /// JSON encodes a unit struct as null, `MessagePack` as an empty list.
    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        if self.limits.is_json {
            self.limits.check_null(name)?;
        }
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let limits = Limits { is_in_some: true, ..self.limits.wrapped()? };
        self.inner.serialize_some(&Within { value, limits })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Within { value, limits: self.limits.wrapped()? })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Within { value, limits: self.limits.inside(1)? };
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! parts {
    ($($part:ident: $($method:ident($($name:ident: $of:ty)?)),+;)+) => {
        $(impl<C: $part> $part for Limited<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: $of,)? value: &T) -> Result<(), C::Error> {
                self.inner.$method($($name,)? &Within { value, limits: self.limits })
            })+

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })+
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(key: &'static str);
    SerializeStructVariant: serialize_field(key: &'static str);
}
