//! The definition of a task, as `#[task]` makes it of a function.

use std::any::{Any, TypeId};
use std::fmt;

use futures_util::future::BoxFuture;
use pynenc_core::task_options::TaskPatch;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::{ArgumentSource, Arguments};
use super::requirements::Requirements;
use super::task_return::Finished;

/// A function that runners can call; implemented by `#[task]`.
pub trait Task: Send + Sync + Sized + 'static {
    /// The parameters that are part of a call: all but the injected ones.
    type Arguments: Arguments;
    /// The type of the result's value.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// The task's definition without its types.
    fn definition() -> &'static TaskDefinition;
}

/// The definition of a task without its types.
pub struct TaskDefinition {
    /// The task's name.
    pub name: &'static str,
    /// The names of the parameters that are part of a call.
    pub arguments: &'static [&'static str],
    /// The options that the attribute sets.
    pub options: TaskPatch,
    /// The function.
    pub function: TaskFunction,
    /// Decodes the arguments as the function would, and drops them. Calls by name are checked with it.
    pub check: fn(&mut ArgumentSource) -> pynenc_core::Result<()>,
    /// Adds the app's parts that the injected parameters need.
    pub requires: fn(&mut Requirements),
    /// Adds values of the attribute that are for extensions, such as the task's triggers.
    pub attachments: fn(&mut Attachments),
}

impl fmt::Debug for TaskDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDefinition").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Decodes the arguments of a task, and drops them.
///
/// # Errors
///
/// An argument is missing, has another type, or isn't a parameter of the task.
pub fn check_arguments<T: Task>(source: &mut ArgumentSource) -> pynenc_core::Result<()> {
    T::Arguments::decode(source).map(drop)
}

/// An `async` task function. It is polled inside the scope of its [`TaskContext`](crate::TaskContext).
pub type AsyncFunction = fn(ArgumentSource) -> BoxFuture<'static, Finished>;

/// A plain task function. It is called inside the scope of its [`TaskContext`](crate::TaskContext).
pub type BlockingFunction = fn(ArgumentSource) -> Finished;

/// A task's function, with its arguments still encoded.
pub enum TaskFunction {
    /// Runs on the runtime.
    Async(AsyncFunction),
    /// Runs on the pool of blocking threads.
    Blocking(BlockingFunction),
}

impl fmt::Debug for TaskFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "Async",
            Self::Blocking(_) => "Blocking",
        })
    }
}

/// Values for extensions from a task's attribute or from a builder, one of each type.
#[derive(Default)]
pub struct Attachments(FxHashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Attachments {
    /// Adds a value for the extension that knows its type.
    pub fn attach<T: Any + Send + Sync>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// Removes and returns the value of a type.
    pub fn take<T: Any>(&mut self) -> Option<T> {
        let value = self.0.remove(&TypeId::of::<T>())? as Box<dyn Any>;
        value.downcast().ok().map(|value| *value)
    }

    /// The value of a type.
    pub fn attached<T: Any>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachments({})", self.0.len())
    }
}

/// A task that the linker collects, so that an app finds it without a list.
#[derive(Debug)]
pub struct LinkedTask(pub fn() -> &'static TaskDefinition);

inventory::collect!(LinkedTask);

/// Lists tasks for `.tasks(..)` in the builder: `tasks![add, fibonacci]`.
#[macro_export]
macro_rules! tasks {
    ($($task:ty),* $(,)?) => {
        [$(<$task as $crate::Task>::definition()),*]
    };
}
