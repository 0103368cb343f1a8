//! Tasks: what `#[task]` makes of a function, and what an app knows of it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use pynenc_core::config::Config;
use pynenc_core::record::Priority;
use pynenc_core::task_options::{TaskOptions, TaskPatch};
use pynenc_core::{QueueName, TaskId};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::{ArgumentSource, Arguments};
use crate::context::{Requirements, TaskContext};
use crate::error::{Error, Result};
use crate::returns::Finished;

/// A function that can be called from afar; implemented by `#[task]`.
pub trait Task: Send + Sync + Sized + 'static {
    /// The parameters that travel.
    type Arguments: Arguments;
    /// The value.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// What the app has to know of it.
    fn definition() -> &'static TaskDefinition;
}

/// What an app has to know of a task, without its types.
pub struct TaskDefinition {
    /// The task's name.
    pub name: &'static str,
    /// The names of the parameters that travel.
    pub arguments: &'static [&'static str],
    /// What the attribute sets.
    pub options: TaskPatch,
    /// How to run it.
    pub body: Body,
    /// Decodes arguments as the body would, and drops them: what a call without types is checked by.
    pub check: fn(&mut ArgumentSource) -> pynenc_core::Result<()>,
    /// What its injected parameters need of the app.
    pub requires: fn(&mut Requirements),
    /// What extensions are told by the attribute, such as the task's triggers.
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
/// One is missing, of another type, or left over.
pub fn check_arguments<T: Task>(source: &mut ArgumentSource) -> pynenc_core::Result<()> {
    T::Arguments::decode(source).map(drop)
}

/// A body that runs on the runtime.
pub type AsyncBody = fn(TaskContext, ArgumentSource) -> BoxFuture<'static, Finished>;

/// A body that runs on the pool of blocking threads.
pub type BlockingBody = fn(TaskContext, ArgumentSource) -> Finished;

/// How a task is run.
pub enum Body {
    /// On the runtime.
    Async(AsyncBody),
    /// On the pool of blocking threads.
    Blocking(BlockingBody),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "Async",
            Self::Blocking(_) => "Blocking",
        })
    }
}

/// Values that a task's attribute, or a builder, leaves for extensions, by type.
#[derive(Default)]
pub struct Attachments(FxHashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Attachments {
    /// Leaves a value for the extension that knows its type.
    pub fn attach<T: Any + Send + Sync>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// Takes the value of a type back, if one was left.
    pub fn take<T: Any>(&mut self) -> Option<T> {
        let value = self.0.remove(&TypeId::of::<T>())? as Box<dyn Any>;
        value.downcast().ok().map(|value| *value)
    }

    /// The value of a type, if the attribute left one.
    pub fn attached<T: Any>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachments({})", self.0.len())
    }
}

/// A task that was found at link time.
#[derive(Debug)]
pub struct LinkedTask(pub fn() -> &'static TaskDefinition);

inventory::collect!(LinkedTask);

/// A task with the options that code and configuration give it.
#[derive(Debug)]
pub struct RegisteredTask {
    pub(crate) id: TaskId,
    pub(crate) definition: &'static TaskDefinition,
    pub(crate) options: TaskOptions,
    pub(crate) queue: QueueName,
    pub(crate) priority: Priority,
    pub(crate) attachments: Attachments,
}

impl RegisteredTask {
    /// The task's name.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// What the macro made.
    pub fn definition(&self) -> &'static TaskDefinition {
        self.definition
    }

    /// The options in force.
    pub fn options(&self) -> &TaskOptions {
        &self.options
    }

    /// What the attribute left for extensions.
    pub fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}

/// The tasks an app knows.
#[derive(Debug, Default)]
pub struct TaskRegistry {
    tasks: FxHashMap<TaskId, Arc<RegisteredTask>>,
}

impl TaskRegistry {
    /// Registers what was linked, if it is taken, and what is listed, each with its options from `config`.
    ///
    /// # Errors
    ///
    /// Two tasks have one name, or an option is wrong.
    pub fn new(takes_linked: bool, listed: &[&'static TaskDefinition], config: &Config) -> Result<Self> {
        let linked = inventory::iter::<LinkedTask>().filter(|_| takes_linked).map(|task| (task.0)());
        let mut registry = Self::default();
        for definition in linked.chain(listed.iter().copied()) {
            registry.add(definition, config)?;
        }
        Ok(registry)
    }

    fn add(&mut self, definition: &'static TaskDefinition, config: &Config) -> Result<()> {
        if let Some(known) = self.find(definition.name) {
            return if std::ptr::eq(known.definition, definition) { Ok(()) } else { Err(same_name(definition.name)) };
        }
        let options = config.task_options(definition.name, &definition.options)?;
        options.validate(definition.name, definition.arguments)?;
        let mut attachments = Attachments::default();
        (definition.attachments)(&mut attachments);
        let task = RegisteredTask {
            id: definition.name.into(),
            queue: options.queue.as_str().into(),
            priority: Priority::new(options.priority),
            definition,
            options,
            attachments,
        };
        self.tasks.insert(task.id.clone(), Arc::new(task));
        Ok(())
    }

    /// The task of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<RegisteredTask>> {
        self.tasks.get(name)
    }

    /// The task of that name, or the one whose name ends with it, as a person would type it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`]; [`Error::Invalid`] for an end that several names have.
    pub fn named(&self, name: &str) -> Result<&Arc<RegisteredTask>> {
        if let Some(task) = self.find(name) {
            return Ok(task);
        }
        let end = |task: &RegisteredTask| task.id.as_str().strip_suffix(name).is_some_and(|path| path.ends_with("::"));
        let ending: Vec<_> = self.all().into_iter().filter(|task| end(task)).collect();
        match &ending[..] {
            [] => Err(self.unknown(name)),
            [task] => Ok(*task),
            several => {
                let names: Vec<_> = several.iter().map(|task| task.id.as_str()).collect();
                let error = pynenc_core::Error::invalid("several tasks have a name that ends like this");
                Err(Error::Invalid(error.with("name", name).with("tasks", names.join(", "))))
            }
        }
    }

    /// Every task, in the order of the names.
    pub fn all(&self) -> Vec<&Arc<RegisteredTask>> {
        let mut all: Vec<_> = self.tasks.values().collect();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The error for a name that isn't known.
    pub fn unknown(&self, name: &str) -> Error {
        Error::UnknownTask { task: name.into(), known: self.all().into_iter().map(|task| task.id.clone()).collect() }
    }
}

fn same_name(name: &str) -> Error {
    let advice = "give one of them another with #[task(name = \"..\")]";
    Error::Config(pynenc_core::Error::config("two tasks have one name").with("name", name).with("advice", advice))
}

/// Lists tasks for `.tasks(..)` in the builder: `tasks![add, fibonacci]`.
#[macro_export]
macro_rules! tasks {
    ($($task:ty),* $(,)?) => {
        [$(<$task as $crate::Task>::definition()),*]
    };
}
