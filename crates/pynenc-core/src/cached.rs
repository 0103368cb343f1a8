//! A value that is passed many times: serialized once, hashed once, and decoded once in a process.

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
    /// Its bytes.
    pub bytes: Bytes,
    /// Their digest, where it is known already.
    pub digest: Option<Digest>,
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), digest: None }
    }
}

/// A value that many calls share.
///
/// It derefs to the value, is encoded as the value, and clones share it. However often it is passed, it is serialized
/// and hashed once for each serializer. As a parameter, it is decoded once for all invocations of a process that are
/// given the same content, as long as the content is in the local cache; so the value is shared as it is, and ought to be
/// one that doesn't change behind a shared reference.
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
    /// What the value is to a serializer: it is encoded once, and others wait for it.
    forms: Mutex<Vec<Form>>,
}

/// A value as a serializer writes it.
struct Form {
    serializer: &'static str,
    encoded: Encoded,
    /// Whether it was decoded before, or read back.
    is_readable: bool,
}

/// Whether there was any in this process: without one, nothing is looked for.
static IN_USE: AtomicBool = AtomicBool::new(false);

impl<T> Cached<T> {
    /// A value that is going to be shared.
    pub fn new(value: T) -> Self {
        IN_USE.store(true, Ordering::Relaxed);
        Self(Arc::new(Inner { value, forms: Mutex::default() }))
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

/// A newtype is as its inner value to every format; the name is what tells this one from others.
const NAME: &str = "$pynenc::Cached";

/// What is shared, without its type.
trait Shared: Send + Sync {
    fn form(&self, serializer: &dyn Serializer) -> Result<Encoded>;
    fn add_form(&self, form: Form);
    fn is_readable(&self, serializer: &str) -> bool;
    fn set_readable(&self, serializer: &str);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T> Inner<T> {
    fn forms(&self) -> MutexGuard<'_, Vec<Form>> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize + Send + Sync + 'static> Shared for Inner<T> {
    fn form(&self, serializer: &dyn Serializer) -> Result<Encoded> {
        let mut forms = self.forms();
        if let Some(form) = forms.iter().find(|form| form.serializer == serializer.name()) {
            return Ok(form.encoded.clone());
        }
        let bytes = Bytes::from(serializer.encode(&self.value)?);
        let encoded = Encoded { digest: Some(Digest::of(&bytes)), bytes };
        forms.push(Form { serializer: serializer.name(), encoded: encoded.clone(), is_readable: false });
        Ok(encoded)
    }

    fn add_form(&self, form: Form) {
        self.forms().push(form);
    }

    fn is_readable(&self, serializer: &str) -> bool {
        self.forms().iter().any(|form| form.serializer == serializer && form.is_readable)
    }

    fn set_readable(&self, serializer: &str) {
        self.forms().iter_mut().filter(|form| form.serializer == serializer).for_each(|form| form.is_readable = true);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

thread_local! {
    /// Whether a value is asked, in this thread, for what it shares.
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
    /// The answer.
    static ANSWER: RefCell<Option<Arc<dyn Shared>>> = const { RefCell::new(None) };
    /// What a value may be decoded to without being decoded.
    static OFFERED: RefCell<Vec<Arc<dyn Shared>>> = const { RefCell::new(Vec::new()) };
    /// The value that was decoded last, as long as it is in use.
    static DECODED: RefCell<Option<Weak<dyn Shared>>> = const { RefCell::new(None) };
}

impl<T: Serialize + Send + Sync + 'static> Serialize for Cached<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &Content(&self.0))
    }
}

struct Content<'a, T>(&'a Arc<Inner<T>>);

impl<T: Serialize + Send + Sync + 'static> Serialize for Content<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if IS_ASKED.get() {
            ANSWER.set(Some(self.0.clone()));
            return Err(serde::ser::Error::custom("asked for what it shares"));
        }
        self.0.value.serialize(serializer)
    }
}

/// Encodes a value; one that is [`Cached`] isn't encoded twice, and given as it is shared.
///
/// # Errors
///
/// The serializer can't encode it.
pub fn encode(
    value: &dyn erased_serde::Serialize,
    serializer: &dyn Serializer,
) -> Result<(Encoded, Option<SharedValue>)> {
    match IN_USE.load(Ordering::Relaxed).then(|| shared_by(value)).flatten() {
        Some(shared) => Ok((shared.form(serializer)?, Some(SharedValue(shared)))),
        None => Ok((serializer.encode(value)?.into(), None)),
    }
}

/// The value of a [`Cached`], whatever its type.
pub struct SharedValue(Arc<dyn Shared>);

impl fmt::Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedValue")
    }
}

impl SharedValue {
    /// The decoded content: the value itself once [`SharedValue::set_readable`] was called, and nothing before.
    pub fn decoded(&self, serializer: &'static str) -> Decoded {
        let known = self.0.is_readable(serializer).then(|| (serializer, self.0.clone()));
        Decoded(Mutex::new(known.into_iter().collect()))
    }

    /// Notes that what the serializer writes can be read, so that a value which many calls share is read back once.
    pub fn set_readable(&self, serializer: &str) {
        self.0.set_readable(serializer);
    }
}

/// What a value shares, if it is a [`Cached`] itself, and not one that holds some.
fn shared_by(value: &dyn erased_serde::Serialize) -> Option<Arc<dyn Shared>> {
    let mut is_cached = false;
    IS_ASKED.set(true);
    let _refused = value.serialize(Probe::Newtype(NAME, &mut is_cached));
    IS_ASKED.set(false);
    ANSWER.take().filter(|_| is_cached)
}

impl<'de, T> Deserialize<'de> for Cached<T>
where
    T: Deserialize<'de> + Serialize + Send + Sync + 'static,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Reader(PhantomData))
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Serialize + Send + Sync + 'static> Visitor<'de> for Reader<T> {
    type Value = Cached<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value to be shared")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cached<T>, D::Error> {
        let offered = OFFERED.with_borrow(|offered| {
            offered.iter().find_map(|shared| shared.clone().into_any().downcast::<Inner<T>>().ok())
        });
        if let Some(inner) = offered {
            return Ok(Cached(inner));
        }
        let cached = Cached::new(T::deserialize(deserializer)?);
        let decoded: Weak<Inner<T>> = Arc::downgrade(&cached.0);
        DECODED.set(Some(decoded));
        Ok(cached)
    }
}

/// Content with what it was decoded to.
#[derive(Default)]
pub struct Decoded(Mutex<Vec<(&'static str, Arc<dyn Shared>)>>);

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoded").field(&self.lock().len()).finish()
    }
}

impl Decoded {
    /// Decodes content; what is [`Cached`] is decoded once.
    ///
    /// # Errors
    ///
    /// As [`SerializerExt::decode_as`].
    pub fn decode<T: DeserializeOwned>(&self, content: &Encoded, serializer: &dyn Serializer) -> Result<T> {
        let mut is_cached = false;
        // Held while it is decoded: others who need the same wait for it.
        let mut decoded = self.lock();
        if let Some(shared) = taken(&decoded, serializer.name(), &mut is_cached) {
            return Ok(shared);
        }
        if !is_cached {
            drop(decoded);
            return serializer.decode_as(&content.bytes);
        }
        let value = serializer.decode_as(&content.bytes)?;
        if let Some(shared) = DECODED.take().and_then(|shared| shared.upgrade()) {
            shared.add_form(Form { serializer: serializer.name(), encoded: content.clone(), is_readable: true });
            decoded.push((serializer.name(), shared));
        }
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Arc<dyn Shared>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was decoded before, if the type is a [`Cached`] of it; notes whether it is any.
fn taken<T: DeserializeOwned>(
    decoded: &[(&'static str, Arc<dyn Shared>)],
    serializer: &str,
    is_cached: &mut bool,
) -> Option<T> {
    let offered = decoded.iter().filter(|(name, _)| *name == serializer).map(|(_, shared)| shared.clone());
    OFFERED.set(offered.collect());
    let value = T::deserialize(Asked(is_cached)).ok();
    OFFERED.take();
    value.filter(|_| *is_cached)
}

/// A deserializer that has nothing but the offer.
struct Asked<'a>(&'a mut bool);

impl<'de> Deserializer<'de> for Asked<'_> {
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
        *self.0 = true;
        visitor.visit_newtype_struct(Nothing)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A deserializer that has nothing.
struct Nothing;

impl<'de> Deserializer<'de> for Nothing {
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

    /// Counts how often it is serialized.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Counted(u32);

    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            ENCODED.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_u32(self.0)
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holds {
        first: Cached<Vec<u32>>,
        second: Option<Cached<String>>,
    }

    /// Its serialized form is text about what it holds.
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
    fn it_is_encoded_once_for_each_serializer_and_as_its_value() {
        let shared = Cached::new(Counted(7));
        let once = content(&shared, &JsonSerializer);
        assert_eq!((&once.bytes[..], once.digest), (&b"7"[..], Some(Digest::of(b"7"))));
        let count = || ENCODED.load(Ordering::Relaxed);
        let by_the_first = count();
        assert_eq!(content(&shared.clone(), &JsonSerializer), once);
        assert_eq!(count(), by_the_first);
        content(&shared, &MsgPackSerializer);
        assert!(count() > by_the_first, "another serializer has a form of its own");
    }

    #[test]
    fn what_holds_one_is_encoded_as_a_whole() {
        let list = Cached::new(vec![1, 2]);
        let holds = Holds { first: list.clone(), second: Some(Cached::new("a".into())) };
        assert_eq!(content(&holds, &JsonSerializer).bytes, r#"{"first":[1,2],"second":"a"}"#);
        assert_eq!(content(&AsText(list), &JsonSerializer).bytes, r#""[1,2]""#);
        for serializer in [&JsonSerializer as &dyn Serializer, &MsgPackSerializer] {
            let content = content(&holds, serializer);
            assert_eq!(Decoded::default().decode::<Holds>(&content, serializer).unwrap(), holds);
        }
    }

    #[test]
    fn content_is_decoded_once_for_each_type() {
        let (decoded, content) = (Decoded::default(), content(&vec![1, 2, 3], &JsonSerializer));
        let take = || decoded.decode::<Cached<Vec<u32>>>(&content, &JsonSerializer).unwrap();
        let first = take();
        assert!(Arc::ptr_eq(&first.0, &take().0), "it is the same");
        let other = decoded.decode::<Cached<Vec<u8>>>(&content, &JsonSerializer).unwrap();
        assert_eq!(*other, [1, 2, 3]);
        let plain = decoded.decode::<Vec<u32>>(&content, &JsonSerializer).unwrap();
        assert_eq!(plain, [1, 2, 3]);
        assert!(Arc::ptr_eq(&first.0, &take().0));
    }

    #[test]
    fn what_was_decoded_is_passed_on_without_being_encoded() {
        let content = content(&vec!["a"; 3], &MsgPackSerializer);
        let taken = Decoded::default().decode::<Cached<Vec<String>>>(&content, &MsgPackSerializer).unwrap();
        let (passed_on, _) = encode(&taken, &MsgPackSerializer).unwrap();
        assert_eq!(passed_on.bytes.as_ptr(), content.bytes.as_ptr(), "these very bytes");
    }

    #[test]
    fn content_of_another_type_is_an_error() {
        let (decoded, content) = (Decoded::default(), content(&"text", &JsonSerializer));
        assert!(decoded.decode::<Cached<Vec<u32>>>(&content, &JsonSerializer).is_err());
        assert_eq!(*decoded.decode::<Cached<String>>(&content, &JsonSerializer).unwrap(), "text");
    }
}
