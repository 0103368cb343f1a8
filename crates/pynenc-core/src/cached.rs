//! A value that many calls share: serialized once, hashed once, and decoded once per process.
//!
//! [`encode`] and [`Decoded::decode`] get any type and have to find out whether that type is a [`Cached`]. So they
//! serialize or deserialize the value with a probe, which recognizes the newtype name of [`Cached`]. The shared value
//! itself is passed through thread-local variables, because serde can't carry it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

use crate::error::Result;
use crate::id::Digest;
use crate::serializer::probe::{Probe, Refused};
use crate::serializer::{Serializer, SerializerExt};

/// An encoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The bytes.
    pub bytes: Bytes,
    /// The digest of the bytes, if it is already known.
    pub digest: Option<Digest>,
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), digest: None }
    }
}

/// A value that many calls share.
///
/// A `Cached` dereferences to its value and is encoded like its value. Clones share the value, which is serialized and
/// hashed only once per serializer.
///
/// A parameter of this type is decoded only once for all invocations of a process with the same content, as long as the
/// content is in the local cache. So the invocations share one value: use a type without interior mutability.
///
/// ```
/// use pynenc_core::cached::Cached;
///
/// let shared = Cached::new(vec![1.5, 2.5]);
/// assert_eq!(shared.iter().sum::<f64>(), 4.0);
/// assert_eq!(serde_json::to_string(&shared).unwrap(), "[1.5,2.5]");
/// ```
pub struct Cached<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    /// One encoding for each serializer. The lock is held while the value is encoded, so that it is encoded only once.
    encodings: Mutex<Vec<Encoding>>,
}

/// A value as one serializer encodes it.
struct Encoding {
    serializer: &'static str,
    encoded: Encoded,
    /// Whether the encoding is known to be decodable.
    is_readable: bool,
}

/// Whether this process has created a [`Cached`]. If not, values aren't probed.
static IN_USE: AtomicBool = AtomicBool::new(false);

impl<T> Cached<T> {
    /// Creates a value that calls can share.
    pub fn new(value: T) -> Self {
        IN_USE.store(true, Ordering::Relaxed);
        Self(Arc::new(Inner { value, encodings: Mutex::default() }))
    }
}

impl<T> Deref for Cached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> From<T> for Cached<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: PartialEq> PartialEq for Cached<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.value == other.0.value
    }
}

impl<T: Eq> Eq for Cached<T> {}

impl<T: fmt::Debug> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cached").field(&self.0.value).finish()
    }
}

/// The newtype name by which probes recognize a [`Cached`]. Formats ignore the name and encode the inner value.
const NAME: &str = "$pynenc::Cached";

/// A shared value of any type.
trait Shared: Send + Sync {
    fn encoded(&self, serializer: &dyn Serializer) -> Result<Encoded>;
    fn add_encoding(&self, encoding: Encoding);
    fn is_readable(&self, serializer: &str) -> bool;
    fn set_readable(&self, serializer: &str);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T> Inner<T> {
    fn encodings(&self) -> MutexGuard<'_, Vec<Encoding>> {
        self.encodings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize + Send + Sync + 'static> Shared for Inner<T> {
    fn encoded(&self, serializer: &dyn Serializer) -> Result<Encoded> {
        let mut encodings = self.encodings();
        if let Some(encoding) = encodings.iter().find(|encoding| encoding.serializer == serializer.name()) {
            return Ok(encoding.encoded.clone());
        }
        let bytes = Bytes::from(serializer.encode(&self.value)?);
        let encoded = Encoded { digest: Some(Digest::of(&bytes)), bytes };
        encodings.push(Encoding { serializer: serializer.name(), encoded: encoded.clone(), is_readable: false });
        Ok(encoded)
    }

    fn add_encoding(&self, encoding: Encoding) {
        self.encodings().push(encoding);
    }

    fn is_readable(&self, serializer: &str) -> bool {
        self.encodings().iter().any(|encoding| encoding.serializer == serializer && encoding.is_readable)
    }

    fn set_readable(&self, serializer: &str) {
        let mut encodings = self.encodings();
        let encodings = encodings.iter_mut().filter(|encoding| encoding.serializer == serializer);
        encodings.for_each(|encoding| encoding.is_readable = true);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

thread_local! {
    /// Whether this thread probes a value: a [`Cached`] then stores its shared value in `PROBED` and isn't serialized.
    static IS_PROBING: Cell<bool> = const { Cell::new(false) };
    /// The shared value that the probe found.
    static PROBED: RefCell<Option<Arc<dyn Shared>>> = const { RefCell::new(None) };
    /// The values that the content was decoded to before. A [`Cached`] of the same type is taken from here.
    static CANDIDATES: RefCell<Vec<Arc<dyn Shared>>> = const { RefCell::new(Vec::new()) };
    /// The [`Cached`] value that this thread decoded last.
    static LAST_DECODED: RefCell<Option<Weak<dyn Shared>>> = const { RefCell::new(None) };
}

impl<T: Serialize + Send + Sync + 'static> Serialize for Cached<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &Content(&self.0))
    }
}

struct Content<'a, T>(&'a Arc<Inner<T>>);

impl<T: Serialize + Send + Sync + 'static> Serialize for Content<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if IS_PROBING.get() {
            PROBED.set(Some(self.0.clone()));
            return Err(serde::ser::Error::custom("a probe doesn't serialize the value"));
        }
        self.0.value.serialize(serializer)
    }
}

/// Encodes a value. A [`Cached`] is encoded only once, and its shared value is returned too.
///
/// # Errors
///
/// The serializer can't encode it.
pub fn encode(
    value: &dyn erased_serde::Serialize,
    serializer: &dyn Serializer,
) -> Result<(Encoded, Option<SharedValue>)> {
    match IN_USE.load(Ordering::Relaxed).then(|| probe(value)).flatten() {
        Some(shared) => Ok((shared.encoded(serializer)?, Some(SharedValue(shared)))),
        None => Ok((serializer.encode(value)?.into(), None)),
    }
}

/// The shared value of a [`Cached`] of any type.
pub struct SharedValue(Arc<dyn Shared>);

impl fmt::Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedValue")
    }
}

impl SharedValue {
    /// Returns the decoded content: the value itself if [`SharedValue::set_readable`] was called, otherwise nothing.
    pub fn decoded(&self, serializer: &'static str) -> Decoded {
        let known = self.0.is_readable(serializer).then(|| (serializer, self.0.clone()));
        Decoded(Mutex::new(known.into_iter().collect()))
    }

    /// Records that the encoding of this serializer can be decoded, so that this is checked once for all calls.
    pub fn set_readable(&self, serializer: &str) {
        self.0.set_readable(serializer);
    }
}

/// Returns the shared value if `value` is a [`Cached`] itself. A value that contains a [`Cached`] isn't one.
fn probe(value: &dyn erased_serde::Serialize) -> Option<Arc<dyn Shared>> {
    let mut is_cached = false;
    IS_PROBING.set(true);
    let _refused = value.serialize(Probe::Newtype(NAME, &mut is_cached));
    IS_PROBING.set(false);
    PROBED.take().filter(|_| is_cached)
}

impl<'de, T> Deserialize<'de> for Cached<T>
where
    T: Deserialize<'de> + Serialize + Send + Sync + 'static,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, CachedVisitor(PhantomData))
    }
}

struct CachedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Serialize + Send + Sync + 'static> Visitor<'de> for CachedVisitor<T> {
    type Value = Cached<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cached value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cached<T>, D::Error> {
        let known = CANDIDATES.with_borrow(|candidates| {
            candidates.iter().find_map(|shared| shared.clone().into_any().downcast::<Inner<T>>().ok())
        });
        if let Some(inner) = known {
            return Ok(Cached(inner));
        }
        let cached = Cached::new(T::deserialize(deserializer)?);
        let decoded: Weak<Inner<T>> = Arc::downgrade(&cached.0);
        LAST_DECODED.set(Some(decoded));
        Ok(cached)
    }
}

/// The values that one content was decoded to, each with the name of its serializer.
#[derive(Default)]
pub struct Decoded(Mutex<Vec<(&'static str, Arc<dyn Shared>)>>);

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoded").field(&self.lock().len()).finish()
    }
}

impl Decoded {
    /// Decodes the content. A [`Cached`] of one type is decoded only once.
    ///
    /// # Errors
    ///
    /// As [`SerializerExt::decode_as`].
    pub fn decode<T: DeserializeOwned>(&self, content: &Encoded, serializer: &dyn Serializer) -> Result<T> {
        let mut is_cached = false;
        // The lock is held while the content is decoded, so that others wait instead of decoding it again.
        let mut decoded = self.lock();
        if let Some(known) = find_decoded(&decoded, serializer.name(), &mut is_cached) {
            return Ok(known);
        }
        if !is_cached {
            drop(decoded);
            return serializer.decode_as(&content.bytes);
        }
        let value = serializer.decode_as(&content.bytes)?;
        if let Some(shared) = LAST_DECODED.take().and_then(|shared| shared.upgrade()) {
            let encoded = content.clone();
            shared.add_encoding(Encoding { serializer: serializer.name(), encoded, is_readable: true });
            decoded.push((serializer.name(), shared));
        }
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Arc<dyn Shared>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the value that was decoded before, if `T` is a [`Cached`] of its type. Sets `is_cached` if `T` is a
/// [`Cached`].
fn find_decoded<T: DeserializeOwned>(
    decoded: &[(&'static str, Arc<dyn Shared>)],
    serializer: &str,
    is_cached: &mut bool,
) -> Option<T> {
    let candidates = decoded.iter().filter(|(name, _)| *name == serializer).map(|(_, shared)| shared.clone());
    CANDIDATES.set(candidates.collect());
    let value = T::deserialize(CandidateDeserializer { is_cached }).ok();
    CANDIDATES.take();
    value.filter(|_| *is_cached)
}

/// A deserializer without content: only a [`Cached`] can be read from it, and only if there is a candidate.
struct CandidateDeserializer<'a> {
    is_cached: &'a mut bool,
}

impl<'de> Deserializer<'de> for CandidateDeserializer<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom(Refused))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if name != NAME {
            return self.deserialize_any(visitor);
        }
        *self.is_cached = true;
        visitor.visit_newtype_struct(EmptyDeserializer)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A deserializer from which nothing can be read.
struct EmptyDeserializer;

impl<'de> Deserializer<'de> for EmptyDeserializer {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom(Refused))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any newtype_struct
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serializer::{JsonSerializer, MsgPackSerializer};
    use std::sync::atomic::AtomicUsize;

    static ENCODED: AtomicUsize = AtomicUsize::new(0);

    /// Counts how often a value of this type is serialized.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Counted(u32);

    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            ENCODED.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_u32(self.0)
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct TwoCached {
        first: Cached<Vec<u32>>,
        second: Option<Cached<String>>,
    }

    /// Serializes as the JSON text of its content.
    #[derive(Debug)]
    struct AsText(Cached<Vec<u32>>);

    impl Serialize for AsText {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(&serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?)
        }
    }

    fn content(value: &dyn erased_serde::Serialize, serializer: &dyn Serializer) -> Encoded {
        encode(value, serializer).unwrap().0
    }

    #[test]
    fn a_cached_value_is_encoded_once_for_each_serializer() {
        let shared = Cached::new(Counted(7));
        let once = content(&shared, &JsonSerializer);
        assert_eq!((&once.bytes[..], once.digest), (&b"7"[..], Some(Digest::of(b"7"))));
        let count = || ENCODED.load(Ordering::Relaxed);
        let count_after_json = count();
        assert_eq!(content(&shared.clone(), &JsonSerializer), once);
        assert_eq!(count(), count_after_json);
        content(&shared, &MsgPackSerializer);
        assert!(count() > count_after_json, "another serializer has its own encoding");
    }

    #[test]
    fn a_value_that_contains_cached_values_is_encoded_as_a_whole() {
        let list = Cached::new(vec![1, 2]);
        let two = TwoCached { first: list.clone(), second: Some(Cached::new("a".into())) };
        assert_eq!(content(&two, &JsonSerializer).bytes, r#"{"first":[1,2],"second":"a"}"#);
        assert_eq!(content(&AsText(list), &JsonSerializer).bytes, r#""[1,2]""#);
        for serializer in [&JsonSerializer as &dyn Serializer, &MsgPackSerializer] {
            let content = content(&two, serializer);
            assert_eq!(Decoded::default().decode::<TwoCached>(&content, serializer).unwrap(), two);
        }
    }

    #[test]
    fn content_is_decoded_once_for_each_type() {
        let (decoded, content) = (Decoded::default(), content(&vec![1, 2, 3], &JsonSerializer));
        let take = || decoded.decode::<Cached<Vec<u32>>>(&content, &JsonSerializer).unwrap();
        let first = take();
        assert!(Arc::ptr_eq(&first.0, &take().0), "both share one value");
        let other = decoded.decode::<Cached<Vec<u8>>>(&content, &JsonSerializer).unwrap();
        assert_eq!(*other, [1, 2, 3]);
        let plain = decoded.decode::<Vec<u32>>(&content, &JsonSerializer).unwrap();
        assert_eq!(plain, [1, 2, 3]);
        assert!(Arc::ptr_eq(&first.0, &take().0));
    }

    #[test]
    fn a_decoded_value_is_passed_on_without_being_encoded_again() {
        let content = content(&vec!["a"; 3], &MsgPackSerializer);
        let taken = Decoded::default().decode::<Cached<Vec<String>>>(&content, &MsgPackSerializer).unwrap();
        let (passed_on, _) = encode(&taken, &MsgPackSerializer).unwrap();
        assert_eq!(passed_on.bytes.as_ptr(), content.bytes.as_ptr(), "the bytes are the same");
    }

    #[test]
    fn content_of_another_type_is_an_error() {
        let (decoded, content) = (Decoded::default(), content(&"text", &JsonSerializer));
        assert!(decoded.decode::<Cached<Vec<u32>>>(&content, &JsonSerializer).is_err());
        assert_eq!(*decoded.decode::<Cached<String>>(&content, &JsonSerializer).unwrap(), "text");
    }
}
