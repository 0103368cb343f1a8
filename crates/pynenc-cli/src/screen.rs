//! Where answers go: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use pynenc_core::Status;
use pynenc_engine::{Error, Result};
use serde_json::Value;

/// Standard output, as it is: a terminal has a width and colours, a file has neither.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    is_json: bool,
    is_terminal: bool,
}

impl Screen {
    pub(crate) fn of_process(is_json: bool) -> Self {
        Self { out: Box::new(io::stdout()), is_json, is_terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Answers with one value: as JSON, or in the words of `told`.
    pub(crate) fn answer(&mut self, json: impl FnOnce() -> Value, told: impl FnOnce() -> String) -> Result<()> {
        let text = if self.is_json { pretty(&json()) } else { told() };
        self.say(&text)
    }

    /// Answers with rows: as a JSON array, or as a table; `nothing` stands for an empty one.
    pub(crate) fn list<T>(
        &mut self,
        items: &[T],
        json: impl Fn(&T) -> Value,
        (head, row): (&[&str], impl Fn(&T) -> Vec<Cell>),
        nothing: &str,
    ) -> Result<()> {
        if self.is_json {
            let values: Vec<_> = items.iter().map(json).collect();
            return self.say(&pretty(&Value::from(values)));
        }
        if items.is_empty() {
            return self.say(nothing);
        }
        let table = table(self.is_terminal, head, items.iter().map(row));
        self.say(&table)
    }

    /// A table among other text.
    pub(crate) fn table(&mut self, head: &[&str], rows: Vec<Vec<Cell>>) -> Result<()> {
        let table = table(self.is_terminal, head, rows);
        self.say(&table)
    }

    pub(crate) fn say(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{}", text.trim_end()).and_then(|()| self.out.flush()).map_err(Error::other)
    }
}

/// Tells people something that isn't part of the answer.
pub(crate) fn complain(kind: &str, text: &str) {
    // Nobody is left to be told that nobody reads.
    let _ = writeln!(io::stderr(), "{kind}: {text}");
}

fn table(is_terminal: bool, head: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(|name| Cell::new(name.to_uppercase())));
    if is_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        // A file has no width, and no colours: a line of it is a row.
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

#[expect(clippy::needless_pass_by_value, reason = "callers have values and references alike")]
pub(crate) fn cell(text: impl ToString) -> Cell {
    Cell::new(text.to_string())
}

pub(crate) fn status_cell(status: Status) -> Cell {
    let colour = match status {
        Status::Success => Color::Green,
        Status::Failed => Color::Red,
        Status::Running | Status::Pending => Color::Cyan,
        Status::Retry | Status::Rerouted | Status::ConcurrencyControlled => Color::Yellow,
        _ => return cell(status),
    };
    cell(status).fg(colour)
}

/// A length of time, as exact as a person wants it.
pub(crate) fn length(length: Duration) -> String {
    let rounded = match length.as_secs() {
        0..10 => Duration::from_millis(length.as_millis() as u64),
        10..3600 => Duration::from_secs(length.as_secs()),
        seconds => Duration::from_secs(seconds / 60 * 60),
    };
    humantime::format_duration(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_in_a_file_is_plain_lines() {
        let rows = vec![vec![cell("a"), status_cell(Status::Failed)], vec![cell("b".repeat(200)), cell(2)]];
        let table = table(false, &["id", "status"], rows);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[0].starts_with("ID ") && lines[1].ends_with("failed"), "{table}");
        assert!(!table.contains('\u{1b}'), "no colours");
    }

    #[test]
    fn lengths_are_as_exact_as_wanted() {
        assert_eq!(length(Duration::from_micros(1_234_567)), "1s 234ms");
        assert_eq!(length(Duration::from_millis(61_234)), "1m 1s");
        assert_eq!(length(Duration::from_secs(3661)), "1h 1m");
    }
}
