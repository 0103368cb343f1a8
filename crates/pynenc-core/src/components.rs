//! The registry of components: plugins register components, and the configuration names the components of an app.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::arg_cache::ArgCache;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::orchestrator::Orchestrator;
use crate::serializer::Serializer;
use crate::state_backend::StateBackend;
use crate::suggestions::{last_segment, near};
use crate::trigger_store::TriggerStore;

/// A crate that adds components to an app.
pub trait Plugin: Send + Sync + 'static {
    /// Registers the crate's components, each under its full path.
    fn register(&self, components: &mut Components);
}

/// The settings and the clock that a component is created with.
#[derive(Debug, Clone)]
pub struct ComponentContext {
    /// The app's settings.
    pub config: Config,
    /// The app's name.
    pub app_id: Arc<str>,
    /// The app's clock.
    pub clock: Arc<dyn Clock>,
}

type Factory<T> = Arc<dyn Fn(ComponentContext) -> BoxFuture<'static, Result<Arc<T>>> + Send + Sync>;

struct Entry<T: ?Sized> {
    path: &'static str,
    factory: Factory<T>,
}

struct Kind<T: ?Sized> {
    what: &'static str,
    entries: Vec<Entry<T>>,
}

/// The registered components that an app can choose from.
#[derive(Default)]
pub struct Components {
    kinds: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    /// Names of components that can't be used, with the advice what to do.
    absent: Vec<(&'static str, &'static str)>,
    duplicates: Vec<&'static str>,
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Components").field("kinds", &self.kinds.len()).finish_non_exhaustive()
    }
}

macro_rules! built_in_kinds {
    ($($(#[$doc:meta])* $method:ident: $kind:ident, $what:literal;)+) => {
        impl Components {
            $(
                $(#[$doc])*
                pub fn $method<F, Fut, C>(&mut self, path: &'static str, factory: F)
                where
                    F: Fn(ComponentContext) -> Fut + Send + Sync + 'static,
                    Fut: Future<Output = Result<C>> + Send + 'static,
                    C: $kind,
                {
                    self.add::<dyn $kind, _, _>($what, path, move |context| {
                        let made = factory(context);
                        async move { Ok(Arc::new(made.await?) as Arc<dyn $kind>) }
                    });
                }
            )+
        }
    };
}

built_in_kinds! {
    /// Registers a broker.
    broker: Broker, "broker";
    /// Registers an orchestrator.
    orchestrator: Orchestrator, "orchestrator";
    /// Registers a state backend.
    state_backend: StateBackend, "state backend";
    /// Registers a trigger store.
    trigger_store: TriggerStore, "trigger store";
    /// Registers an argument cache.
    arg_cache: ArgCache, "argument cache";
    /// Registers a serializer.
    serializer: Serializer, "serializer";
}

impl Components {
    /// Registers a component of any kind under its full path, such as `my_crate::FileBroker`.
    pub fn add<T, F, Fut>(&mut self, what: &'static str, path: &'static str, factory: F)
    where
        T: ?Sized + 'static,
        F: Fn(ComponentContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<T>>> + Send + 'static,
    {
        let kind = self
            .kinds
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Box::new(Kind::<T> { what, entries: Vec::new() }))
            .downcast_mut::<Kind<T>>()
            .expect("each kind is stored under its own type");
        if kind.entries.iter().any(|entry| entry.path == path) {
            self.duplicates.push(path);
        }
        kind.entries.push(Entry { path, factory: Arc::new(move |context| Box::pin(factory(context))) });
    }

    /// Registers the advice for a component that isn't available, such as a component of a feature that is off.
    pub fn absent(&mut self, name: &'static str, advice: &'static str) {
        self.absent.push((name, advice));
    }

    /// Creates the component that the setting `key` names. A name is a full path, or the last segment of one path.
    ///
    /// # Errors
    ///
    /// The name is unknown, is ambiguous or was registered twice, or the creation of the component fails.
    pub async fn make<T: ?Sized + 'static>(&self, key: &str, name: &str, context: ComponentContext) -> Result<Arc<T>> {
        let kind = self.kinds.get(&TypeId::of::<T>()).and_then(|kind| kind.downcast_ref::<Kind<T>>());
        let Some(kind) = kind else {
            return Err(self.unknown(key, name, key, &[]));
        };
        let factory = self.choose(kind, key, name)?;
        factory(context).await.map_err(|error| error.with("component", name))
    }

    fn choose<T: ?Sized>(&self, kind: &Kind<T>, key: &str, name: &str) -> Result<Factory<T>> {
        let matches: Vec<_> = kind.entries.iter().filter(|entry| is_named(entry.path, name)).collect();
        match matches[..] {
            [entry] if !self.duplicates.contains(&entry.path) => Ok(entry.factory.clone()),
            [] => {
                let known: Vec<_> = kind.entries.iter().map(|entry| entry.path).collect();
                Err(self.unknown(key, name, kind.what, &known))
            }
            _ => Err(ambiguous(key, name, &matches.iter().map(|entry| entry.path).collect::<Vec<_>>())),
        }
    }

    fn unknown(&self, key: &str, name: &str, what: &str, known: &[&str]) -> Error {
        let error = Error::config(format!("unknown {what} `{name}`")).with("key", key);
        if let Some((_, advice)) = self.absent.iter().find(|(absent, _)| is_named(absent, name)) {
            return error.with("advice", advice);
        }
        let error = if known.is_empty() { error } else { error.with("known", known.join(", ")) };
        match near(name, known.iter().copied())[..] {
            [] => error,
            ref near => error.with("did you mean", near.join(" or ")),
        }
    }
}

/// Whether `name` is the full path or its last segment.
fn is_named(path: &str, name: &str) -> bool {
    path == name || last_segment(path) == name
}

fn ambiguous(key: &str, name: &str, paths: &[&str]) -> Error {
    let distinct = paths.iter().any(|path| *path != paths[0]);
    let message = if distinct {
        format!("`{name}` is the name of several components: use the full path of one of them")
    } else {
        format!("the component `{name}` was registered twice")
    };
    Error::config(message).with("key", key).with("found", paths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::serializer::{JsonSerializer, MsgPackSerializer};

    fn context() -> ComponentContext {
        let config = Config::loader().without_file().environment([]).load().unwrap();
        ComponentContext { config, app_id: "test".into(), clock: Arc::new(SystemClock) }
    }

    fn components() -> Components {
        let mut components = Components::default();
        components.serializer("pynenc::JsonSerializer", |_| async { Ok(JsonSerializer) });
        components.serializer("pynenc::MsgPackSerializer", |_| async { Ok(MsgPackSerializer) });
        components.serializer("mine::Same", |_| async { Ok(JsonSerializer) });
        components.serializer("yours::Same", |_| async { Ok(MsgPackSerializer) });
        components.absent("pynenc_redis::RedisSerializer", "turn on the feature `redis`");
        components
    }

    async fn check(name: &str) -> String {
        match components().make::<dyn Serializer>("serializer_cls", name, context()).await {
            Ok(serializer) => serializer.name().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn names_are_resolved_or_the_error_gives_advice() {
        assert_eq!(check("JsonSerializer").await, "JsonSerializer");
        assert_eq!(check("pynenc::JsonSerializer").await, "JsonSerializer");
        assert_eq!(check("yours::Same").await, "MsgPackSerializer");
        assert!(check("Same").await.contains("found: mine::Same, yours::Same"));
        assert!(check("RedisSerializer").await.contains("turn on the feature `redis`"));
        let typo = check("JsonSerialiser").await;
        assert!(typo.contains("did you mean: pynenc::JsonSerializer"), "{typo}");
        assert!(typo.contains("key: serializer_cls") && typo.contains("mine::Same"), "{typo}");
    }

    #[tokio::test]
    async fn a_path_registered_twice_is_an_error() {
        let mut components = components();
        components.serializer("mine::Same", |_| async { Ok(JsonSerializer) });
        let error = components.make::<dyn Serializer>("serializer_cls", "mine::Same", context()).await.unwrap_err();
        assert!(error.to_string().contains("registered twice"), "{error}");
    }
}
