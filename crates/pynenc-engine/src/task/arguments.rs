//! Encodes, decodes and compares the arguments of a call.

use std::any::type_name;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pynenc_core::cached::{self, Encoded, SharedValue};
use pynenc_core::packed::{Packed, Unpack};
use pynenc_core::serializer::{json_limited, unreadable};
use pynenc_core::{Digest, Error, Result, Serializer};
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
    arguments: Vec<Option<NamedValue>>,
    next: usize,
}

impl ArgumentSource {
    /// Creates a source of these arguments.
    pub fn new(serializer: Arc<dyn Serializer>, arguments: Vec<(Cow<'static, str>, Bytes)>) -> Self {
        let inline = arguments.into_iter().map(|(name, bytes)| (name, Fetched::Inline(bytes)));
        Self::of_fetched(serializer, inline.collect())
    }

    pub(crate) fn of_fetched(serializer: Arc<dyn Serializer>, arguments: Vec<NamedValue>) -> Self {
        Self { serializer, arguments: arguments.into_iter().map(Some).collect(), next: 0 }
    }

    /// The serializer that the call was encoded with.
    pub fn serializer(&self) -> Arc<dyn Serializer> {
        self.serializer.clone()
    }

    /// Decodes the argument called `name`.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T> {
        let value = self.find(name).ok_or_else(|| Error::corrupt("argument is missing").with("argument", name))?;
        value.decode(&*self.serializer).map_err(|error| error.with("argument", name).with("type", type_name::<T>()))
    }

    /// Fails if an argument was not taken.
    pub fn finish(&mut self) -> Result<()> {
        match self.arguments.iter().flatten().next() {
            Some((name, _)) => Err(Error::corrupt("the task has no such parameter").with("argument", name)),
            None => Ok(()),
        }
    }

    /// Finds an argument by name. The next one is tried first, because arguments come in the order of the parameters.
    fn find(&mut self, name: &str) -> Option<Fetched> {
        let is_it = |slot: &Option<NamedValue>| slot.as_ref().is_some_and(|(found, _)| found == name);
        let position = match self.arguments.get(self.next) {
            Some(slot) if is_it(slot) => self.next,
            _ => self.arguments.iter().position(is_it)?,
        };
        self.next = position + 1;
        self.arguments[position].take().map(|(_, value)| value)
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
