//! `retry`: submits finished invocations again.

use pynenc_core::Status;
use pynenc_engine::{Engine, Result, Search};

use super::bulk::{self, Change, Changes};
use crate::arguments::Bulk;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn retry(app: &Engine, options: &Bulk, output: &mut Output) -> Result<Exit> {
    let ids = bulk::choose(app, options, Status::is_final).await?;
    if options.dry_run {
        return bulk::dry_run("retry", &ids, output);
    }
    let mut changes = Changes::new(ids.len(), "retried");
    for chunk in ids.chunks(Search::PAGE_SIZE) {
        let results = app.retry_all(chunk).await?;
        changes.add(chunk, results.into_iter().map(|result| result.map(Change::Retried)));
    }
    changes.report("retried", output)
}
