//! Standard output: the answer of a command, as text and tables for people or as JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use pynenc_core::Status;
use pynenc_engine::{Error, Result};
use serde_json::Value;

/// Writes answers. Tables have colors and fit the width if the output is a terminal, and have neither in a file.
pub(crate) struct Output {
    out: Box<dyn Write + Send>,
    is_json: bool,
    is_terminal: bool,
}

impl Output {
    pub(crate) fn stdout(is_json: bool) -> Self {
        Self { out: Box::new(io::stdout()), is_json, is_terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether a person sees the answer in a terminal.
    #[cfg(feature = "top")]
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes one value, as JSON or as text.
    pub(crate) fn value(&mut self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<()> {
        let text = if self.is_json { pretty(&json()) } else { text() };
        self.text(&text)
    }

    /// Writes rows, as a JSON array or as a table. `if_empty` is the text for no rows.
    pub(crate) fn list<T>(
        &mut self,
        items: &[T],
        json: impl Fn(&T) -> Value,
        (head, row): (&[&str], impl Fn(&T) -> Vec<Cell>),
        if_empty: &str,
    ) -> Result<()> {
        if self.is_json {
            let values: Vec<_> = items.iter().map(json).collect();
            return self.text(&pretty(&Value::from(values)));
        }
        if items.is_empty() {
            return self.text(if_empty);
        }
        let table = table(self.is_terminal, head, items.iter().map(row));
        self.text(&table)
    }

    /// Writes a table. The caller handles `--json`.
    pub(crate) fn table(&mut self, head: &[&str], rows: Vec<Vec<Cell>>) -> Result<()> {
        let table = table(self.is_terminal, head, rows);
        self.text(&table)
    }

    /// Writes text. The caller handles `--json`.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{}", text.trim_end()).and_then(|()| self.out.flush()).map_err(Error::other)
    }
}

fn table(is_terminal: bool, head: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(|name| Cell::new(name.to_uppercase())));
    if is_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        // In a file each row is one line, however long, so that `grep` and `awk` work on rows.
        table.force_no_tty();
    }
    table.add_rows(rows);
    table.column_iter_mut().enumerate().for_each(|(number, column)| {
        column.set_padding((u16::from(number > 0), 1));
    });
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass values as well as references")]
pub(crate) fn cell(text: impl ToString) -> Cell {
    Cell::new(text.to_string())
}

pub(crate) fn status_cell(status: Status) -> Cell {
    let color = match status {
        Status::Success => Color::Green,
        Status::Failed => Color::Red,
        Status::Running | Status::Pending => Color::Cyan,
        Status::Retry | Status::Rerouted | Status::ConcurrencyControlled => Color::Yellow,
        _ => return cell(status),
    };
    cell(status).fg(color)
}

/// Formats a duration with the precision that people need: `250ms`, `1.5s`, `1m 30s`, `2h 5m`.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        1..10 => format!("{:.1}s", duration.as_secs_f64()),
        seconds @ 10..3600 => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
        seconds => humantime::format_duration(Duration::from_secs(seconds / 60 * 60)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_in_a_file_has_one_plain_line_per_row() {
        let rows = vec![vec![cell("a"), status_cell(Status::Failed)], vec![cell("b".repeat(200)), cell(2)]];
        let table = table(false, &["id", "status"], rows);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[0].starts_with("ID ") && lines[1].ends_with("failed"), "{table}");
        assert!(!table.contains('\u{1b}'), "the table has no color codes");
    }

    #[test]
    fn long_durations_are_rounded() {
        assert_eq!(duration(Duration::from_micros(234_567)), "234ms");
        assert_eq!(duration(Duration::from_micros(1_234_567)), "1.2s");
        assert_eq!(duration(Duration::from_millis(61_234)), "1m 1s");
        assert_eq!(duration(Duration::from_secs(3661)), "1h 1m");
    }
}
