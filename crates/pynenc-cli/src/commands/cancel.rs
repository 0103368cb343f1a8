//! `cancel`: cancels waiting invocations, and asks running ones to stop.

use pynenc_engine::{Engine, Result, Search};

use super::bulk::{self, Change, Changes};
use crate::arguments::Cancel;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn cancel(app: &Engine, options: &Cancel, output: &mut Output) -> Result<Exit> {
    let Cancel { bulk: chosen, only_this, with_children } = options;
    // A finished invocation may have unfinished children.
    let ids = bulk::choose(app, chosen, |status| *with_children || !status.is_final()).await?;
    if chosen.dry_run {
        return bulk::dry_run("cancel", &ids, output);
    }
    let mut changes = Changes::new(ids.len(), "cancelled");
    for chunk in ids.chunks(Search::PAGE_SIZE) {
        let cancel = match (only_this, with_children) {
            (true, _) => app.cancel_all(chunk).only_these(),
            (_, true) => app.cancel_all(chunk).with_children(),
            _ => app.cancel_all(chunk),
        };
        let change = |is_finished| if is_finished { Change::Finished } else { Change::StopRequested };
        changes.add(chunk, cancel.await?.into_iter().map(|result| result.map(change)));
    }
    changes.report("cancelled or asked to stop", output)
}
