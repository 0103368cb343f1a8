//! The app's parts that tasks are given: what their parameters require, and the states that an app has.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use pynenc_core::TaskId;
use rustc_hash::FxHashMap;

use crate::error::Error;

/// The parts of an app that a task's injected parameters need.
#[derive(Debug, Default)]
pub struct Requirements {
    states: Vec<(TypeId, &'static str)>,
    parts: Vec<TypeId>,
}

impl Requirements {
    /// Requires a state of type `T`.
    pub fn state<T: Any>(&mut self) {
        self.states.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// Records that the task has a parameter of type `T`, so that an extension finds the tasks that use it.
    pub fn part<T: Any>(&mut self) {
        self.parts.push(TypeId::of::<T>());
    }

    /// Whether the task has a parameter of type `T`.
    pub fn has_part<T: Any>(&self) -> bool {
        self.parts.contains(&TypeId::of::<T>())
    }

    /// The type name of the first required state that `states` lacks.
    pub(crate) fn missing(&self, states: &States) -> Option<&'static str> {
        self.states.iter().find(|(id, _)| !states.0.contains_key(id)).map(|(_, name)| *name)
    }
}

/// The values that an app shares with its tasks, one of each type.
#[derive(Default, Clone)]
pub struct States(FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Adds a value. It replaces an earlier one of the same type.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn find<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}

/// The error for a task whose app lacks a state.
pub(crate) fn missing_state(type_name: &'static str, task: &TaskId) -> Error {
    Error::Injection {
        type_name,
        advice: format!("task `{task}` needs this state; add it to the app with `.state(value)`"),
    }
}
