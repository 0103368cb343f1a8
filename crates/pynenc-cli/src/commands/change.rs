//! `cancel` and `retry`: of what is named, or of what a filter finds.

use indicatif::ProgressBar;
use pynenc_core::{InvocationId, Status};
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Value, json};

use crate::arguments::{Bulk, Cancel};
use crate::exit::Exit;
use crate::screen::{Screen, complain};
use crate::{bulk, console};

/// What became of one.
type Changed = (InvocationId, Result<Done>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Cancelled,
    Told,
    Retried(InvocationId),
}

pub(super) async fn cancel(app: &Engine, wanted: &Cancel, screen: &mut Screen) -> Result<Exit> {
    let Cancel { bulk: wanted, only_this, with_children } = wanted;
    // One that has ended may have children that haven't.
    let ids = chosen(app, wanted, |status| *with_children || !status.is_final()).await?;
    if wanted.dry_run {
        return would("cancel", &ids, screen);
    }
    let bar = progress(&ids, "cancelled");
    let mut changed: Vec<Changed> = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(bulk::PAGE) {
        let cancel = match (only_this, with_children) {
            (true, _) => app.cancel_all(chunk).only_these(),
            (_, true) => app.cancel_all(chunk).with_children(),
            _ => app.cancel_all(chunk),
        };
        let results = cancel.await?.into_iter();
        let done = |has_ended| if has_ended { Done::Cancelled } else { Done::Told };
        changed.extend(chunk.iter().copied().zip(results.map(|result| result.map(done))));
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    report(&changed, screen)
}

pub(super) async fn retry(app: &Engine, wanted: &Bulk, screen: &mut Screen) -> Result<Exit> {
    let ids = chosen(app, wanted, Status::is_final).await?;
    if wanted.dry_run {
        return would("retry", &ids, screen);
    }
    let bar = progress(&ids, "retried");
    let mut changed: Vec<Changed> = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(bulk::PAGE) {
        let results = app.retry_all(chunk).await?.into_iter();
        changed.extend(chunk.iter().copied().zip(results.map(|result| result.map(Done::Retried))));
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    report(&changed, screen)
}

async fn chosen(app: &Engine, wanted: &Bulk, concerned: impl Fn(Status) -> bool) -> Result<Vec<InvocationId>> {
    if wanted.ids.is_empty() && wanted.filter.is_empty() {
        let message = "name invocations by their ids, or choose them with a filter such as --status, --task or --since";
        return Err(pynenc_core::Error::invalid(message).into());
    }
    bulk::chosen(app, &wanted.ids, &wanted.filter, concerned).await
}

fn would(verb: &str, ids: &[InvocationId], screen: &mut Screen) -> Result<Exit> {
    let shown: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let told = || format!("{}\nwould {verb} {} invocations", shown.join("\n"), ids.len());
    screen.answer(|| json!({"dry_run": true, "would": verb, "invocations": ids}), || told().trim().to_owned())?;
    Ok(Exit::Done)
}

fn progress(ids: &[InvocationId], what: &'static str) -> ProgressBar {
    if ids.len() > bulk::PAGE { console::bar(ids.len() as u64, what) } else { ProgressBar::hidden() }
}

/// A few are told one by one, many by their number; each that failed is told.
fn report(changed: &[Changed], screen: &mut Screen) -> Result<Exit> {
    const FEW: usize = 20;
    let failed: Vec<_> = changed.iter().filter_map(|(id, result)| Some((id, result.as_ref().err()?))).collect();
    if screen.is_json() {
        let values: Vec<_> = changed.iter().map(as_json).collect();
        screen.answer(|| Value::from(values), String::new)?;
    } else {
        let done = changed.iter().filter_map(|(id, result)| Some((id, result.as_ref().ok()?)));
        for (id, done) in done.filter(|_| changed.len() <= FEW) {
            screen.say(&told(*id, *done))?;
        }
        if changed.len() != 1 {
            screen.say(&format!("{} of {} invocations", changed.len() - failed.len(), changed.len()))?;
        }
    }
    failed.iter().for_each(|(id, error)| complain("error", &format!("{id}: {error}")));
    let is_missing = |error: &Error| matches!(error, Error::InvocationNotFound(_));
    Ok(match failed.first() {
        None => Exit::Done,
        Some((_, error)) if changed.len() == 1 && is_missing(error) => Exit::NotFound,
        Some(_) => Exit::Failed,
    })
}

fn told(id: InvocationId, done: Done) -> String {
    match done {
        Done::Cancelled => format!("{id} has ended"),
        Done::Told => format!("{id} runs, and was told to end"),
        Done::Retried(new) => format!("{id} is submitted once more as {new}"),
    }
}

fn as_json((id, result): &Changed) -> Value {
    match result {
        Ok(Done::Cancelled) => json!({"invocation": id, "ended": true}),
        Ok(Done::Told) => json!({"invocation": id, "ended": false}),
        Ok(Done::Retried(new)) => json!({"invocation": id, "retried_as": new}),
        Err(error) => json!({"invocation": id, "error": error.to_string()}),
    }
}
