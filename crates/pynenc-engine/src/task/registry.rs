//! The tasks of an app.

use std::sync::Arc;

use pynenc_core::config::Config;
use pynenc_core::record::Priority;
use pynenc_core::task_options::TaskOptions;
use pynenc_core::{QueueName, TaskId};
use rustc_hash::FxHashMap;

use super::definition::{Attachments, LinkedTask, TaskDefinition};
use crate::error::{Error, Result};

/// A task with its options, as the attribute and the configuration set them.
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

    /// The definition that the macro made.
    pub fn definition(&self) -> &'static TaskDefinition {
        self.definition
    }

    /// The options that apply.
    pub fn options(&self) -> &TaskOptions {
        &self.options
    }

    /// The attribute's values for extensions.
    pub fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}

/// The tasks of an app, by name.
#[derive(Debug, Default)]
pub struct TaskRegistry {
    tasks: FxHashMap<TaskId, Arc<RegisteredTask>>,
}

impl TaskRegistry {
    /// Registers the listed tasks and, with `takes_linked`, those that the program links. Their options come from `config`.
    ///
    /// # Errors
    ///
    /// Two tasks have the same name, or an option is invalid.
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

    /// The task with this full name.
    pub fn find(&self, name: &str) -> Option<&Arc<RegisteredTask>> {
        self.tasks.get(name)
    }

    /// The task with this full name, or the only one whose name ends with it after a `::`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`]; [`Error::Invalid`] if several names end with it.
    pub fn named(&self, name: &str) -> Result<&Arc<RegisteredTask>> {
        if let Some(task) = self.find(name) {
            return Ok(task);
        }
        let is_end =
            |task: &RegisteredTask| task.id.as_str().strip_suffix(name).is_some_and(|path| path.ends_with("::"));
        let ending: Vec<_> = self.all().into_iter().filter(|task| is_end(task)).collect();
        match &ending[..] {
            [] => Err(self.unknown(name)),
            [task] => Ok(*task),
            several => {
                let names: Vec<_> = several.iter().map(|task| task.id.as_str()).collect();
                let error =
                    pynenc_core::Error::invalid("the name is ambiguous; give the full name of one of these tasks");
                Err(Error::Invalid(error.with("name", name).with("tasks", names.join(", "))))
            }
        }
    }

    /// Every task, ordered by name.
    pub fn all(&self) -> Vec<&Arc<RegisteredTask>> {
        let mut all: Vec<_> = self.tasks.values().collect();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// The error for a name that the app doesn't have.
    pub fn unknown(&self, name: &str) -> Error {
        Error::UnknownTask { task: name.into(), known: self.all().into_iter().map(|task| task.id.clone()).collect() }
    }
}

fn same_name(name: &str) -> Error {
    let advice = "give one of them another name with #[task(name = \"..\")]";
    Error::Config(pynenc_core::Error::config("two tasks have the same name").with("name", name).with("advice", advice))
}
