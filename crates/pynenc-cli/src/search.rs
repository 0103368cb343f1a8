//! The search for invocations that the filter options of a command describe.

use pynenc_core::TaskId;
use pynenc_core::orchestrator::Find;
use pynenc_engine::{Engine, Search};

use crate::arguments::Filter;

/// The id of a task from its name, or from the end of its name if this program has the task.
pub(crate) fn task_id(app: &Engine, name: &str) -> TaskId {
    app.tasks().named(name).map_or_else(|_| TaskId::from(name), |task| task.id().clone())
}

/// The search for the invocations that match a filter.
pub(crate) fn search(app: &Engine, filter: &Filter) -> Search {
    let Filter { status, task, since, until, arg, active_since, active_until, error } = filter.clone();
    let task = task.map(|name| task_id(app, &name));
    Search {
        find: Find { statuses: status, task, since, until, ..Find::default() },
        arguments: arg,
        active_since,
        active_until,
        error,
        ..Search::default()
    }
}
