//! Encodes, decodes and compares the arguments of a call.

use std::any::type_name;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pynenc_core::cached::{self, Encoded, SharedValue};
use pynenc_core::packed::{Packed, Unpack};
use pynenc_core::record::{InvocationRecord, Payload};
use pynenc_core::serializer::{json_limited, unreadable};
use pynenc_core::{Digest, Error, Result, Serializer, SerializerExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::argument_cache::Fetched;

/// The serialized parameters of a task, as a struct that `#[task]` generates.
pub trait Arguments: Sized + Send + 'static {
    /// Encodes each argument, in the order of the parameters.
    fn encode(&self, sink: &mut ArgumentSink<'_>) -> Result<()>;

    /// Decodes the arguments.
    fn decode(source: &mut ArgumentSource) -> Result<Self>;
}

/// A parameter's name and the encoded value.
pub type EncodedArgument = (&'static str, Encoded);

/// A parameter's name and its fetched value.
pub(crate) type NamedValue = (Cow<'static, str>, Fetched);

/// Encodes and collects arguments.
pub struct ArgumentSink<'a> {
    serializer: &'a dyn Serializer,
    canonical: Option<Vec<(Cow<'static, str>, Digest)>>,
    encoded: Vec<EncodedArgument>,
    shared: Vec<(&'static str, SharedValue)>,
}

impl std::fmt::Debug for ArgumentSink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArgumentSink").field("arguments", &self.encoded.len()).finish_non_exhaustive()
    }
}

impl<'a> ArgumentSink<'a> {
    /// Creates a sink. With `identity`, the sink also computes the [`ArgumentIdentity`].
    pub fn new(serializer: &'a dyn Serializer, identity: bool) -> Self {
        Self { serializer, canonical: identity.then(Vec::new), encoded: Vec::new(), shared: Vec::new() }
    }

    /// Encodes one argument.
    pub fn put(&mut self, name: &'static str, value: &dyn erased_serde::Serialize) -> Result<()> {
        let encoded = cached::encode(value, self.serializer).map_err(|error| error.with("argument", name));
        let (encoded, shared) = encoded?;
        self.shared.extend(shared.map(|shared| (name, shared)));
        if let Some(canonical) = &mut self.canonical {
            canonical.push((name.into(), canonical_digest(value).map_err(|error| error.with("argument", name))?));
        }
        self.encoded.push((name, encoded));
        Ok(())
    }

    /// Decodes the arguments as the task will, so that an unreadable argument fails the submit. A value that many calls
    /// share is decoded once.
    pub(crate) fn read_back<A: Arguments>(&self, serializer: Arc<dyn Serializer>) -> Result<()> {
        let written_by = serializer.name();
        let fetched = |(name, value): &EncodedArgument| {
            let shared = self.shared.iter().find(|(shared, _)| shared == name);
            let decoded = shared.map(|(_, shared)| shared.decoded(written_by)).unwrap_or_default();
            (Cow::from(*name), Fetched::decoded(value.clone(), decoded))
        };
        let mut source = ArgumentSource::of_fetched(serializer, self.encoded.iter().map(fetched).collect());
        A::decode(&mut source).map_err(|error| unreadable(&error))?;
        self.shared.iter().for_each(|(_, shared)| shared.set_readable(written_by));
        Ok(())
    }

    /// Returns the encoded arguments, and their identity if it was requested.
    pub fn into_parts(self) -> (Vec<EncodedArgument>, Option<ArgumentIdentity>) {
        (self.encoded, self.canonical.map(ArgumentIdentity))
    }
}

/// Digests of arguments by value, for concurrency keys and idempotency. The order of maps and the serializer make no
/// difference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentIdentity(Vec<(Cow<'static, str>, Digest)>);

impl Packed for ArgumentIdentity {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        Packed::unpack(from).map(Self)
    }
}

impl ArgumentIdentity {
    pub(crate) fn of_digests(digests: Vec<(Cow<'static, str>, Digest)>) -> Self {
        Self(digests)
    }

    /// The digest of all arguments under `scope`.
    pub fn of_all(&self, scope: &str) -> Digest {
        self.digest(scope, |_| true)
    }

    /// The digest of the named arguments under `scope`.
    pub fn of_some(&self, scope: &str, names: &[String]) -> Digest {
        self.digest(scope, |name| names.iter().any(|wanted| wanted == name))
    }

    fn digest(&self, scope: &str, wanted: impl Fn(&str) -> bool) -> Digest {
        let mut content = scope.as_bytes().to_vec();
        for (name, digest) in self.0.iter().filter(|(name, _)| wanted(name)) {
            content.push(0);
            content.extend_from_slice(name.as_bytes());
            content.push(0);
            content.extend_from_slice(digest.as_bytes());
        }
        Digest::of(&content)
    }
}

/// The digest of a value in canonical form: JSON with the keys of maps in order.
fn canonical_digest(value: &dyn erased_serde::Serialize) -> Result<Digest> {
    let value = serde_json::to_value(json_limited(value)).map_err(|error| {
        let invalid = Error::invalid("a concurrency key needs a value that has a JSON form");
        invalid.with("cause", &error).caused_by(error)
    })?;
    let mut content = Vec::new();
    write_canonical(&value, &mut content);
    Ok(Digest::of(&content))
}

fn write_canonical(value: &serde_json::Value, out: &mut Vec<u8>) {
    match value {
        serde_json::Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (key, item) in entries {
                write_canonical(&serde_json::Value::from(key.as_str()), out);
                out.push(b':');
                write_canonical(item, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

/// Encoded arguments that are decoded by name.
#[derive(Debug)]
pub struct ArgumentSource {
    serializer: Arc<dyn Serializer>,
    arguments: Given,
    /// How many arguments were taken from the start of the list. Arguments are usually taken in their order.
    taken: usize,
    /// The positions of the other arguments that were taken.
    taken_early: Vec<usize>,
}

/// The arguments of a source.
#[derive(Debug)]
enum Given {
    /// The arguments of a record, all of them inline.
    Inline(Arc<InvocationRecord>),
    Fetched(Vec<NamedValue>),
}

impl Given {
    fn len(&self) -> usize {
        match self {
            Self::Inline(record) => record.arguments.len(),
            Self::Fetched(values) => values.len(),
        }
    }

    fn name(&self, position: usize) -> &str {
        match self {
            Self::Inline(record) => &record.arguments[position].name,
            Self::Fetched(values) => &values[position].0,
        }
    }

    fn decode<T: DeserializeOwned>(&self, position: usize, serializer: &dyn Serializer) -> Result<T> {
        match self {
            Self::Inline(record) => match &record.arguments[position].value {
                Payload::Inline(bytes) => serializer.decode_as(bytes),
                Payload::External { .. } => Err(Error::corrupt("the argument wasn't fetched")),
            },
            Self::Fetched(values) => values[position].1.decode(serializer),
        }
    }
}

impl ArgumentSource {
    /// Creates a source of these arguments.
    pub fn new(serializer: Arc<dyn Serializer>, arguments: Vec<(Cow<'static, str>, Bytes)>) -> Self {
        let inline = arguments.into_iter().map(|(name, bytes)| (name, Fetched::Inline(bytes)));
        Self::of_fetched(serializer, inline.collect())
    }

    pub(crate) fn of_fetched(serializer: Arc<dyn Serializer>, arguments: Vec<NamedValue>) -> Self {
        Self { serializer, arguments: Given::Fetched(arguments), taken: 0, taken_early: Vec::new() }
    }

    /// Creates a source of a record's arguments; `None` if one of them is in the argument cache.
    pub(crate) fn of_inline(serializer: &Arc<dyn Serializer>, record: &Arc<InvocationRecord>) -> Option<Self> {
        let is_inline = record.arguments.iter().all(|argument| matches!(argument.value, Payload::Inline(_)));
        let source = || {
            let arguments = Given::Inline(record.clone());
            Self { serializer: serializer.clone(), arguments, taken: 0, taken_early: Vec::new() }
        };
        is_inline.then(source)
    }

    /// The serializer that the call was encoded with.
    pub fn serializer(&self) -> Arc<dyn Serializer> {
        self.serializer.clone()
    }

    /// Decodes the argument called `name`.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T> {
        let position = self.find(name).ok_or_else(|| Error::corrupt("argument is missing").with("argument", name))?;
        let value = self.arguments.decode(position, &*self.serializer);
        value.map_err(|error| error.with("argument", name).with("type", type_name::<T>()))
    }

    /// Fails if an argument was not taken.
    pub fn finish(&mut self) -> Result<()> {
        if self.taken == self.arguments.len() {
            return Ok(());
        }
        Err(Error::corrupt("the task has no such parameter").with("argument", self.arguments.name(self.taken)))
    }

    /// Finds an argument that wasn't taken yet, and takes it.
    fn find(&mut self, name: &str) -> Option<usize> {
        let is_it = |position: &usize| !self.taken_early.contains(position) && self.arguments.name(*position) == name;
        let position = (self.taken..self.arguments.len()).find(is_it)?;
        if position > self.taken {
            self.taken_early.push(position);
        } else {
            self.taken += 1;
            while self.taken_early.contains(&self.taken) {
                self.taken += 1;
            }
        }
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
    use std::collections::HashMap;

    fn identity(
        serializer: &dyn Serializer,
        values: &[(&'static str, &dyn erased_serde::Serialize)],
    ) -> ArgumentIdentity {
        let mut sink = ArgumentSink::new(serializer, true);
        values.iter().for_each(|(name, value)| sink.put(name, *value).unwrap());
        sink.into_parts().1.unwrap()
    }

    #[test]
    fn the_order_of_a_map_and_the_serializer_make_no_difference() {
        let map = |keys: [&str; 3]| keys.map(|key| (key.to_owned(), key.len())).into_iter().collect::<HashMap<_, _>>();
        let one = identity(&JsonSerializer, &[("map", &map(["a", "bb", "ccc"]))]);
        let other = identity(&MsgPackSerializer, &[("map", &map(["ccc", "a", "bb"]))]);
        assert_eq!(one.of_all("t"), other.of_all("t"));
        assert_ne!(one.of_all("t"), one.of_all("u"));
    }

    #[test]
    fn a_key_covers_only_the_named_arguments() {
        let one = identity(&JsonSerializer, &[("id", &1), ("note", &"x")]);
        let other = identity(&JsonSerializer, &[("id", &1), ("note", &"y")]);
        assert_eq!(one.of_some("t", &["id".into()]), other.of_some("t", &["id".into()]));
        assert_ne!(one.of_all("t"), other.of_all("t"));
    }

    #[test]
    fn a_string_and_a_list_of_the_same_text_have_different_digests() {
        let one = identity(&JsonSerializer, &[("v", &"[1,]")]);
        let other = identity(&JsonSerializer, &[("v", &[1])]);
        assert_ne!(one.of_all("t"), other.of_all("t"));
    }

    #[test]
    fn arguments_are_found_by_name_and_leftovers_are_errors() {
        let given = vec![("a".into(), Bytes::from_static(b"1")), ("b".into(), Bytes::from_static(b"2"))];
        let mut source = ArgumentSource::new(Arc::new(JsonSerializer), given);
        assert_eq!(source.take::<u8>("b").unwrap(), 2);
        assert!(source.finish().unwrap_err().to_string().contains("argument: a"));
        assert!(source.take::<u8>("c").unwrap_err().to_string().contains("missing"));
        assert_eq!(source.take::<u8>("a").unwrap(), 1);
        source.finish().unwrap();
    }
}
