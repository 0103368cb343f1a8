//! Tests the round trips of common types through both serializers, and the table of the book that lists them.
//!
//! `UPDATE_DOCS=1 cargo test -p pynenc-tests --test values` writes the table.

#![cfg(unix)]

use std::any::type_name;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fmt::{Debug, Write};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::{NonZeroI128, NonZeroU8, Saturating, Wrapping};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::{ErrorKind, Serializer, SerializerExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The result of a round trip through a serializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RoundTrip {
    /// The value comes back equal.
    Equal,
    /// The serializer refuses to write the value.
    Refused,
    /// The serializer writes the value and can't read it back.
    Unreadable,
    /// Another value comes back.
    Differs,
}

impl RoundTrip {
    fn of<T: Serialize + DeserializeOwned>(serializer: &dyn Serializer, value: &T, is_equal: Equal<T>) -> Self {
        let Ok(bytes) = serializer.encode(value) else { return Self::Refused };
        let result = match serializer.decode_as::<T>(&bytes) {
            Ok(back) if is_equal(&back, value) => Self::Equal,
            Ok(_) => Self::Differs,
            Err(_) => Self::Unreadable,
        };
        let readable = serializer.encode_readable(value).map_err(|error| error.kind());
        let expected = if result == Self::Unreadable { Err(ErrorKind::Invalid) } else { Ok(bytes) };
        assert_eq!(readable.map(|bytes| bytes.len()), expected.map(|bytes| bytes.len()), "{}", type_name::<T>());
        result
    }

    fn cell(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Refused => "refused",
            Self::Unreadable => "refused when read back",
            Self::Differs => "**differs**",
        }
    }
}

type Equal<T> = fn(&T, &T) -> bool;

/// A row of the table.
struct Row {
    value: &'static str,
    json: RoundTrip,
    pack: RoundTrip,
    advice: &'static str,
}

/// A row for values that are compared by `is_equal` and have the same results.
fn row_by<T>(value: &'static str, values: impl IntoIterator<Item = T>, is_equal: Equal<T>) -> Row
where
    T: Serialize + DeserializeOwned,
{
    let results = values.into_iter().map(|it| {
        let [json, pack]: [&dyn Serializer; 2] = [&JsonSerializer, &MsgPackSerializer];
        (RoundTrip::of(json, &it, is_equal), RoundTrip::of(pack, &it, is_equal))
    });
    let results: Vec<_> = results.collect();
    let (json, pack) = results[0];
    assert!(results.iter().all(|result| *result == results[0]), "{value}: {results:?}");
    Row { value, json, pack, advice: "" }
}

fn row<T>(value: &'static str, values: impl IntoIterator<Item = T>) -> Row
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    row_by(value, values, T::eq)
}

impl Row {
    fn advice(self, advice: &'static str) -> Self {
        Self { advice, ..self }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    number: u64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WithoutDefault {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    list: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip)]
    skipped: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Color {
    Red,
    Blue,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum External<T> {
    Unit,
    Newtype(T),
    Tuple(T, u8),
    Struct { value: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal<T> {
    Unit,
    Struct { value: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum InternalNewtype<T> {
    Newtype(T),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
enum Adjacent<T> {
    Unit,
    Newtype(T),
    Struct { value: T },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Struct { value: T },
    Newtype(T),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Overlapping {
    Small(u8),
    Large(u64),
    Nothing(()),
    Optional(Option<String>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    id: u64,
    #[serde(flatten)]
    rest: T,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Large {
    number: u128,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    note: Option<u8>,
}

const BIG: u128 = u128::MAX - 1;
const SMALL: i128 = i128::MIN + 1;

fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    entries.into_iter().collect()
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("the text is valid JSON")
}

const WRAP: &str = "wrap the inner value in an enum or a struct of your own";
const PLAIN: &str = "use an externally or adjacently tagged enum";

fn standard_library() -> Vec<Row> {
    let address: Ipv6Addr = "fe80::1".parse().expect("the text is a valid address");
    vec![
        row("`bool`, `char`", [(true, 'a'), (false, '\u{10ffff}')]),
        row("integers to 64 bits, `usize`", [(u64::MAX, i64::MIN, 0_usize), (0, i64::MAX, usize::MAX)]),
        row("`u128`, `i128`", [(BIG, SMALL), (1, -1), (u128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1)]),
        row("`f64`, `f32`", [(31.245_270_191_439_438_f64, 7.038_531e-26_f32), (-0.0, f32::MAX), (5e-324, 0.1)]),
        row_by("`f64`: NaN, infinities", [f64::NAN, f64::INFINITY], |a, b| a.to_bits() == b.to_bits())
            .advice("write it as text, or use `MsgPackSerializer`"),
        row("`String`, `Cow<str>`, `Box<str>`", [(String::from("ñ\0"), Cow::from("a"), Box::<str>::from("\u{feff}"))]),
        row("`Vec<u8>`, `Box<[u8]>`", [(vec![7_u8; 3], Box::<[u8]>::from([0])), (vec![255; 100], Box::from([1; 100]))]),
        row("arrays to 32, tuples to 16", [([[1.5; 32]; 2], (1, "a".to_owned(), ((), [true])))])
            .advice("serde has no longer arrays; `serde_bytes::ByteArray` is for bytes"),
        row("`Option<T>`", [None, Some(vec![None, Some(1)])]),
        row("`Some(None)`", [Some(None::<u8>)]).advice(WRAP),
        row("`Some(())`", [Some(())]).advice("use a `bool`"),
        row("`Some(PhantomData)`", [Some(PhantomData::<u8>)]).advice("use a `bool`"),
        row("`Result<T, E>`", [Ok::<_, Option<u8>>(()), Err(None), Err(Some(1))]),
        row("`Box`, `Arc`, `Wrapping`, `Saturating`", [(Box::new(1), Arc::new(2), Wrapping(3_u8), Saturating(4_u8))]),
        row("`NonZero<T>`", [(NonZeroU8::MAX, NonZeroI128::MIN)]),
        row("`Duration`", [Duration::MAX, Duration::from_nanos(1)]),
        row("`SystemTime`", [UNIX_EPOCH + Duration::new(u64::from(u32::MAX), 999_999_999)]),
        row("`SystemTime` before 1970", [UNIX_EPOCH - Duration::from_secs(1)]).advice("use `jiff::Timestamp`"),
        row("`Range`, `RangeInclusive`, `Bound`", [(1..3, 1..=3, Bound::Excluded(3), Bound::Unbounded::<u8>)]),
        row("`PathBuf`", [PathBuf::from("a/ñ")]),
        row("`PathBuf` that isn't Unicode", not_unicode().map(PathBuf::from)).advice("use `OsString`"),
        row("`OsString`, `CString`", not_unicode().map(|text| (text, CString::from(c"a\xff")))),
        row(
            "`IpAddr`, `SocketAddr`",
            [
                (IpAddr::from(Ipv4Addr::LOCALHOST), SocketAddr::from((address, 80))),
                (IpAddr::from(address), SocketAddr::from((Ipv4Addr::BROADCAST, 0))),
            ],
        ),
        row("`SocketAddrV6` with a scope", [SocketAddrV6::new(address, 80, 0, 3)])
            .advice("use a struct with the address, the port and the scope"),
        row("`SocketAddrV6` with a flow label", [SocketAddrV6::new(address, 80, 5, 0)])
            .advice("use a struct with the address, the port and the flow label"),
    ]
}

fn not_unicode() -> [OsString; 1] {
    use std::os::unix::ffi::OsStringExt;
    [OsString::from_vec(vec![b'a', 0xff])]
}

fn collections() -> Vec<Row> {
    let strings = || ["b".to_owned(), "a".to_owned()];
    vec![
        row(
            "`VecDeque`, `LinkedList`, `BTreeSet`, `HashSet`",
            [(
                VecDeque::from(strings()),
                LinkedList::from(strings()),
                BTreeSet::from(strings()),
                HashSet::from(strings()),
            )],
        ),
        row_by("`BinaryHeap`", [BinaryHeap::from([1, 3, 2])], |a, b| {
            a.clone().into_sorted_vec() == b.clone().into_sorted_vec()
        }),
        row(
            "maps with text as keys",
            [(HashMap::from(strings().map(|key| (key, 1))), map(strings().map(|key| (key, ()))))],
        ),
        row("maps with integers as keys", [(map([(u64::MAX, 1)]), map([(SMALL, 1)]), map([(Newtype(7_u8), 1)]))]),
        row(
            "maps with `bool`, `char`, unit variants as keys",
            [(map([(true, 1)]), map([('a', 1)]), map([(Color::Blue, 1)]))],
        ),
        row("maps with floats as keys", [map([(ordered_float::OrderedFloat(31.245_270_191_439_438_f64), 1)])]),
        row(
            "maps with UUIDs, addresses, times as keys",
            [(
                map([(uuid::Uuid::from_u128(BIG), 1)]),
                map([(IpAddr::from(Ipv4Addr::LOCALHOST), 1)]),
                map([(jiff::Timestamp::MAX, 1)]),
            )],
        ),
        row("maps with `Some` as keys", [map([(Some("a".to_owned()), 1)])]).advice("use a list of pairs"),
        row("maps with `None` as a key", [map([(None::<String>, 1)])]).advice("use a list of pairs"),
        row("maps with tuples, lists, bytes as keys", [map([((1, 2), 1)])]).advice("use a list of pairs"),
        row("maps with enums that hold values as keys", [map([(Ok::<u8, u8>(1), 1)])]).advice("use a list of pairs"),
    ]
}

fn derived() -> Vec<Row> {
    let by_number = || map([(1_u32, 2_u32)]);
    let ip = || IpAddr::from(Ipv4Addr::LOCALHOST);
    vec![
        row(
            "structs: unit, newtype, tuple, with fields",
            [
                (Unit, Newtype(None::<u8>), Fields { number: 1, text: String::new(), note: None, list: vec![] }),
                (Unit, Newtype(Some(1)), Fields { number: 1, text: String::new(), note: Some(1), list: vec![1] }),
            ],
        ),
        row("`Some` of a unit struct", [Some(Unit)]).advice("use a `bool`"),
        row("`skip_serializing_if` without `default`", [WithoutDefault { list: vec![] }]).advice("add `default`"),
        row("`skip`", [Skipping { skipped: 7 }]).advice("a skipped field is its default"),
        row(
            "enums, externally tagged",
            [
                (External::Unit, External::Newtype(BIG)),
                (External::Tuple(0.1_f32, 1), External::Struct { value: BIG }),
                (External::Tuple(0.1_f32, 1), External::Newtype(BIG)),
            ],
        ),
        row(
            "enums, internally tagged",
            [Internal::Struct { value: (1.5, i64::MIN, Some(u64::MAX), "a".to_owned()) }, Internal::Unit],
        ),
        row(
            "internally tagged, with `u128` or `i128`",
            [Internal::Struct { value: BIG }, Internal::Struct { value: 7 }],
        )
        .advice(PLAIN),
        row("internally tagged, with a map with integers as keys", [Internal::Struct { value: by_number() }])
            .advice(PLAIN),
        row("internally tagged, with `f32`", [Internal::Struct { value: 0.1_f32 }]),
        row(
            "internally tagged, with an `f32` that a second rounding changes",
            [Internal::Struct { value: 7.038_531e-26_f32 }],
        )
        .advice("use `f64`"),
        row("internally tagged, with `IpAddr`", [Internal::Struct { value: ip() }]).advice(PLAIN),
        row(
            "internally tagged, with `Uuid`, `Timestamp`",
            [Internal::Struct { value: (uuid::Uuid::from_u128(BIG), jiff::Timestamp::MAX) }],
        ),
        row("internally tagged newtype variant around `Some(..)`", [InternalNewtype::Newtype(Some(1))])
            .advice("use a variant with fields"),
        row(
            "internally tagged newtype variant around a struct with `u128`",
            [InternalNewtype::Newtype(Large { number: BIG })],
        )
        .advice(PLAIN),
        row("enums, adjacently tagged", [Adjacent::Newtype(BIG), Adjacent::Struct { value: BIG }, Adjacent::Unit]),
        row("enums, untagged", [Untagged::Newtype(1.5), Untagged::Struct { value: 1.5 }]),
        row("untagged, with `u128` or `i128`", [Untagged::Struct { value: BIG }, Untagged::Newtype(7)]).advice(PLAIN),
        row("untagged, where an earlier variant fits too", [Overlapping::Large(7), Overlapping::Optional(None)])
            .advice("use a tagged enum, or variants that nothing else fits"),
        row(
            "`flatten` of a struct, of a map",
            [(Flat { id: 1, rest: Note { note: Some(1) } }, Flat { id: 2, rest: map([("a".to_owned(), 1)]) })],
        ),
        row("`flatten` of a map with integers as keys", [Flat { id: 1, rest: by_number() }])
            .advice("nest the map in a field"),
        row(
            "`flatten` of a struct with `u128` or `i128`",
            [BIG, 7].map(|number| Flat { id: 1, rest: Large { number } }),
        )
        .advice("nest the struct in a field"),
        row("`flatten` of `None`, if all fields of the struct are optional", [Flat { id: 1, rest: None::<Note> }])
            .advice("nest the option in a field"),
    ]
}

fn crates() -> Vec<Row> {
    let zoned: jiff::Zoned = "2026-03-29T01:30:00+01:00[Europe/Madrid]".parse().expect("the text is a valid time");
    let date = chrono::NaiveDate::from_ymd_opt(2026, 12, 31).expect("the date exists");
    let leap = date.and_hms_nano_opt(23, 59, 59, 1_999_999_999).expect("the leap second exists");
    let offset = chrono::FixedOffset::east_opt(3600).expect("the offset exists");
    let decimal = |text: &str| text.parse::<rust_decimal::Decimal>().expect("the text is a valid number");
    let big = |text: &str| text.parse::<bigdecimal::BigDecimal>().expect("the text is a valid number");
    let integer = -num_bigint::BigInt::from(BIG) * BIG;
    vec![
        row(
            "`arrayvec`, `smallvec`",
            [(arrayvec::ArrayVec::<u16, 4>::from_iter([1, 2]), smallvec::SmallVec::<[u16; 2]>::from_iter([1, 2, 3]))],
        ),
        row_by("`bigdecimal`", [big("0.10"), big("-1e-400")], |a, b| a.to_string() == b.to_string()),
        row(
            "`bytes`, `serde_bytes`",
            [(
                bytes::Bytes::from_static(b"a\xff"),
                serde_bytes::ByteBuf::from([1; 100]),
                serde_bytes::ByteArray::new([1; 65]),
            )],
        ),
        row("`camino`, `compact_str`", [(camino::Utf8PathBuf::from("a/b"), compact_str::CompactString::from("ñ"))]),
        row("`chrono`", [(leap.and_utc(), leap.and_utc().with_timezone(&offset), leap, date, chrono::TimeDelta::MAX)]),
        row("`either`", [either::Either::<u8, String>::Left(1), either::Either::Right("a".into())]),
        row_by(
            "`indexmap`",
            [indexmap::IndexMap::<_, _>::from_iter([("b".to_owned(), 1), ("a".to_owned(), 2)])],
            |a, b| a.iter().eq(b),
        ),
        row(
            "`jiff`",
            [(jiff::Timestamp::MIN, zoned.clone(), zoned.datetime(), zoned.date(), jiff::SignedDuration::MIN)],
        ),
        row_by("`jiff::Span`", [jiff::Span::new().months(1).days(31).nanoseconds(1)], |a, b| {
            a.fieldwise() == b.fieldwise()
        }),
        row("`num-bigint`", [(integer.clone(), integer.magnitude().clone())]),
        row("`ordered-float`", [ordered_float::NotNan::new(0.1).expect("the text is a valid number")]),
        row_by("`rust_decimal`", [decimal("1.10"), decimal("-79228162514264337593543950335")], |a, b| {
            a.to_string() == b.to_string()
        }),
        row("`semver`", [(semver::Version::new(1, 2, 3), semver::VersionReq::STAR)]),
        row(
            "`serde_json::Value`, `Number`",
            [(json!({"b": [null, u64::MAX, i64::MIN, 31.245_270_191_439_438], "a": {}}), serde_json::Number::from(7))],
        ),
        row("`Some(Value::Null)`", [Some(Value::Null)]).advice("use a plain `Value`"),
        row_by("`RawValue`", [raw(r#"{"a": 1e400}"#)], |a, b| a.get() == b.get()).advice("use `Value` or a `String`"),
        row_by("`Some` of the `RawValue` `null`", [Some(raw("null"))], |a, b| a.is_some() == b.is_some())
            .advice("use `Value` or a `String`"),
        row(
            "`time`",
            [(
                time::macros::datetime!(2026-12-31 23:59:59.999_999_999 +01:00),
                time::macros::date!(2026 - 01 - 01),
                time::macros::time!(0:00),
                time::Duration::MIN,
            )],
        ),
        row("`url`", [url::Url::parse("https://example.org/ñ?a=b#c").expect("the text is a valid URL")]),
        row("`uuid`", [uuid::Uuid::from_u128(BIG)]),
    ]
}

fn table() -> String {
    let mut table = String::new();
    let groups = [
        ("The standard library", standard_library()),
        ("Collections", collections()),
        ("Structs and enums of your own", derived()),
        ("Crates", crates()),
    ];
    for (name, rows) in groups {
        let _ = writeln!(table, "| **{name}** | | | |");
        for Row { value, json, pack, advice } in rows {
            let is_equal = (json, pack) == (RoundTrip::Equal, RoundTrip::Equal);
            assert!(!advice.is_empty() || is_equal, "{value} needs advice: {json:?}, {pack:?}");
            let _ = writeln!(table, "| {value} | {} | {} | {advice} |", json.cell(), pack.cell());
        }
    }
    table
}

#[test]
fn the_table_of_the_book_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/serializers.md");
    let page = std::fs::read_to_string(path).expect("the page can be read");
    let (before, rest) = page.split_once("|---|---|---|---|\n").expect("the page has the table");
    let (_, after) = rest.split_once("\n\n").expect("the table ends with an empty line");
    let made = format!("{before}|---|---|---|---|\n{}\n{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path, &made).expect("the page can be written");
    }
    assert!(page == made, "{path} is out of date: run this test with UPDATE_DOCS=1");
}
