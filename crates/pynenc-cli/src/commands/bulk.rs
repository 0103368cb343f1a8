//! Changing many invocations: choosing them by id or filter, dry runs, progress and reports, for `cancel` and `retry`.

use indicatif::ProgressBar;
use pynenc_core::{InvocationId, Status};
use pynenc_engine::{Engine, Error, Result, Search};
use serde_json::{Value, json};

use crate::arguments::Bulk;
use crate::exit::Exit;
use crate::output::Output;
use crate::{partial_id, search, stderr};

/// Returns the invocations of a command: those with the given ids, or those that match the filter and have a status
/// that the command can change.
pub(super) async fn choose(
    app: &Engine,
    options: &Bulk,
    is_changeable: impl Fn(Status) -> bool,
) -> Result<Vec<InvocationId>> {
    if options.ids.is_empty() && options.filter.is_empty() {
        let message = "no invocations chosen: give ids, or a filter such as --status, --task or --since";
        return Err(pynenc_core::Error::invalid(message).into());
    }
    if options.ids.is_empty() {
        return search(app, options, is_changeable).await;
    }
    let mut ids = Vec::with_capacity(options.ids.len());
    for argument in &options.ids {
        ids.push(partial_id::complete(app, argument).await?);
    }
    Ok(ids)
}

async fn search(app: &Engine, options: &Bulk, is_changeable: impl Fn(Status) -> bool) -> Result<Vec<InvocationId>> {
    let mut search = search::search(app, &options.filter);
    let statuses = &mut search.find.statuses;
    if statuses.is_empty() {
        *statuses = Status::ALL.to_vec();
    }
    statuses.retain(|status| is_changeable(*status));
    if statuses.is_empty() {
        // The store takes an empty list as every status.
        return Ok(Vec::new());
    }
    let found = app.search(&search, usize::MAX, usize::MAX).await?;
    Ok(found.items.into_iter().map(|tracked| tracked.id).collect())
}

/// Writes which invocations a command would change.
pub(super) fn dry_run(verb: &str, ids: &[InvocationId], output: &mut Output) -> Result<Exit> {
    let shown: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let text = || format!("{}\nwould {verb} {} invocations", shown.join("\n"), ids.len());
    output.value(|| json!({"dry_run": true, "would": verb, "invocations": ids}), || text().trim().to_owned())?;
    Ok(Exit::Done)
}

/// The change that a command made to one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The invocation is finished, by this cancel or before.
    Finished,
    /// The invocation is running, and was asked to stop.
    StopRequested,
    /// The invocation was submitted again under this id.
    Retried(InvocationId),
}

/// The changes so far, with a progress bar if there are many invocations to change.
pub(super) struct Changes {
    done: Vec<(InvocationId, Result<Change>)>,
    bar: ProgressBar,
}

impl Changes {
    pub(super) fn new(count: usize, label: &'static str) -> Self {
        let bar =
            if count > Search::PAGE_SIZE { stderr::progress_bar(count as u64, label) } else { ProgressBar::hidden() };
        Self { done: Vec::with_capacity(count), bar }
    }

    /// Adds the results for a chunk of ids.
    pub(super) fn add(&mut self, ids: &[InvocationId], results: impl IntoIterator<Item = Result<Change>>) {
        self.done.extend(ids.iter().copied().zip(results));
        self.bar.inc(ids.len() as u64);
    }

    /// Writes a line for each change if there are few, and their number. Failures go to standard error.
    pub(super) fn report(&self, participle: &str, output: &mut Output) -> Result<Exit> {
        const FEW: usize = 20;
        self.bar.finish_and_clear();
        let count = self.done.len();
        let failures = || self.done.iter().filter_map(|(id, result)| Some((id, result.as_ref().err()?)));
        if output.is_json() {
            let values: Vec<_> = self.done.iter().map(|(id, result)| as_json(*id, result)).collect();
            output.value(|| Value::from(values), String::new)?;
        } else {
            let changed = self.done.iter().filter_map(|(id, result)| Some((id, result.as_ref().ok()?)));
            for (id, change) in changed.filter(|_| count <= FEW) {
                output.text(&sentence(*id, *change))?;
            }
            if count != 1 {
                output.text(&format!("{} of {count} invocations {participle}", count - failures().count()))?;
            }
        }
        failures().for_each(|(id, error)| stderr::print("error", &format!("{id}: {error}")));
        Ok(match failures().next() {
            None => Exit::Done,
            Some((_, Error::InvocationNotFound(_))) if count == 1 => Exit::NotFound,
            Some(_) => Exit::Failed,
        })
    }
}

fn sentence(id: InvocationId, change: Change) -> String {
    match change {
        Change::Finished => format!("{id} is finished"),
        Change::StopRequested => format!("{id} is running and was asked to stop"),
        Change::Retried(new) => format!("{id} was submitted again as {new}"),
    }
}

fn as_json(id: InvocationId, result: &Result<Change>) -> Value {
    match result {
        Ok(Change::Finished) => json!({"invocation": id, "ended": true}),
        Ok(Change::StopRequested) => json!({"invocation": id, "ended": false}),
        Ok(Change::Retried(new)) => json!({"invocation": id, "retried_as": new}),
        Err(error) => json!({"invocation": id, "error": error.to_string()}),
    }
}
