//! `top`: a live view of the app in a terminal, or one reading of it.
//!
//! | file | holds |
//! |---|---|
//! | `reading.rs` | what is read from the stores |
//! | `tables.rs` | a reading as tables |
//! | `view.rs` | the state of the view, its keys and its drawing |
//! | `screen.rs` | the terminal, and the loop of readings and keys |

mod reading;
mod screen;
mod tables;
mod view;

use pynenc_builder::Pynenc;
use pynenc_engine::Result;

use crate::arguments::Top;
use crate::exit::Exit;
use crate::output::{Output, cell};
use reading::{Reader, Reading};

pub(super) async fn show(app: &Pynenc, options: &Top, output: &mut Output) -> Result<Exit> {
    if output.is_terminal() && !output.is_json() && !options.once {
        return screen::show(app, options.interval).await;
    }
    print(&Reader::default().read(app).await?, output)?;
    Ok(Exit::Done)
}

/// Prints one reading.
fn print(reading: &Reading, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.value(|| reading.as_json(), String::new);
    }
    output.text(&format!("{} at {}\n{}\n", reading.app, reading.at, tables::summary(reading).join("\n")))?;
    for (mut table, sort) in tables::tables(reading).into_iter().zip(tables::FIRST_SORTS) {
        table.sort(sort);
        let head: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
        let rows = table.rows.iter().map(|row| row.iter().map(|value| cell(value.text())).collect());
        output.table(&head, rows.collect())?;
        output.text("")?;
    }
    Ok(())
}
