//! Computes the mean of each column of a large table, with one task for each column.

use std::time::{Duration, Instant};

use pynenc::prelude::*;

/// The number of columns of the table.
pub const COLUMNS: usize = 20;

// ANCHOR: task
/// Returns the mean of one column. With `Cached`, a process reads and decodes the table once, for all of its columns.
#[task]
pub fn column_mean(table: Cached<Vec<f64>>, column: usize) -> f64 {
    let values = table.iter().skip(column).step_by(COLUMNS);
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}
// ANCHOR_END: task

/// Makes a table with this number of rows. The values of a column are equal.
pub fn table(rows: usize) -> Vec<f64> {
    (0..rows * COLUMNS).map(|index| (index % COLUMNS) as f64 + 0.5).collect()
}

// ANCHOR: submit
/// Returns the means of all columns, and the time that the tasks took.
pub async fn means(app: &Pynenc, table: Vec<f64>) -> Result<(Vec<f64>, Duration)> {
    let start = Instant::now();
    let table = Cached::new(table);
    // Clones of a `Cached` value share the value and its serialized bytes.
    let calls = (0..COLUMNS).map(|column| column_mean(table.clone(), column));
    let means = app.submit_all(calls).await?.results().await?;
    Ok((means, start.elapsed()))
}
// ANCHOR_END: submit

/// Counts the stored bytes: the arguments inside calls, and each cached content once.
pub async fn stored(app: &Pynenc) -> Result<u64> {
    use pynenc::core::orchestrator::Find;
    use std::collections::BTreeMap;

    let find = Find { task: Some(column_mean::NAME.into()), limit: usize::MAX, ..Find::default() };
    let found = app.parts().orchestrator.find(&find).await?.items;
    let ids: Vec<_> = found.iter().map(|item| item.id).collect();
    let records = app.parts().state.invocations(&ids).await?;
    let (mut inline, mut contents) = (0, BTreeMap::new());
    for argument in records.iter().flatten().flat_map(|record| &record.arguments) {
        match argument.value.digest() {
            Some(digest) => drop(contents.insert(digest, argument.value.size())),
            None => inline += argument.value.size(),
        }
    }
    Ok(inline + contents.values().sum::<u64>())
}
