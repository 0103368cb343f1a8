//! Many invocations: those that a filter finds, page by page.

use pynenc_core::orchestrator::{Find, Page, Tracked};
use pynenc_core::{InvocationId, Status, TaskId};
use pynenc_engine::{Engine, Result};

use crate::arguments::Filter;

/// At most so many are read, and changed, at once.
pub(crate) const PAGE: usize = 500;

/// The question that a filter asks. A task that this program knows may be named by its end.
pub(crate) fn find(app: &Engine, filter: &Filter, limit: usize) -> Find {
    let named =
        |name: &String| app.tasks().named(name).map_or_else(|_| TaskId::from(name.as_str()), |it| it.id().clone());
    let (statuses, task) = (filter.status.clone(), filter.task.as_ref().map(named));
    Find { statuses, task, since: filter.since, limit, ..Find::default() }
}

/// Reads up to `most` of what a question asks for.
pub(crate) async fn found(app: &Engine, mut find: Find, most: usize) -> Result<Vec<Tracked>> {
    let mut all = Vec::new();
    while all.len() < most {
        find.limit = PAGE.min(most - all.len());
        let Page { items, next } = app.parts().orchestrator.find(&find).await?;
        all.extend(items);
        find.after = next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What a bulk command is about: what was named, or what a filter finds among those that it may concern.
pub(crate) async fn chosen(
    app: &Engine,
    ids: &[InvocationId],
    filter: &Filter,
    concerned: impl Fn(Status) -> bool,
) -> Result<Vec<InvocationId>> {
    if !ids.is_empty() {
        return Ok(ids.to_vec());
    }
    let mut find = find(app, filter, PAGE);
    if find.statuses.is_empty() {
        find.statuses = Status::ALL.to_vec();
    }
    find.statuses.retain(|status| concerned(*status));
    if find.statuses.is_empty() {
        return Ok(Vec::new());
    }
    Ok(found(app, find, usize::MAX).await?.into_iter().map(|tracked| tracked.id).collect())
}
