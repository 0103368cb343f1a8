//! The tables of a comparison, in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::systems::{Column, System};
use crate::statistics::{Range, median};

/// A system and its rates, in calls per second, by benchmark.
pub(super) struct Row {
    pub(super) system: &'static System,
    pub(super) rates: BTreeMap<&'static str, Vec<f64>>,
}

impl Row {
    pub(super) fn new(system: &'static System) -> Self {
        Self { system, rates: BTreeMap::new() }
    }

    fn median(&self, column: &Column) -> Option<f64> {
        self.rates.get(column.benchmark).map(|rates| median(rates.clone()))
    }
}

/// The table of the rates, each as the range of its runs.
pub(super) fn rates_table(columns: &[&Column], rows: &[Row]) -> String {
    let mut table = head(columns, &["what is kept"]);
    for Row { system, rates } in rows {
        let cell = |column: &&Column| rates.get(column.benchmark).map_or(String::new(), |rates| rates_cell(rates));
        write_row(&mut table, system.title, columns.iter().map(cell).chain([system.keeps.to_owned()]));
    }
    table
}

/// The table of the rates of this system, each divided by that of another one.
pub(super) fn ratios_table(columns: &[&Column], rows: &[Row]) -> String {
    let mut table = head(columns, &[]);
    for row in rows.iter().filter(|row| row.system.program.is_some()) {
        let cell = |column: &&Column| {
            let ratio = rows[0].median(column).zip(row.median(column)).map(|(ours, other)| ours / other);
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
        };
        write_row(&mut table, row.system.title, columns.iter().map(cell));
    }
    table
}

fn head(columns: &[&Column], more: &[&str]) -> String {
    let mut table = String::new();
    let titles = columns.iter().map(|column| column.title).chain(more.iter().copied());
    write_row(&mut table, "", titles.map(str::to_owned));
    table.push_str(&"|---".repeat(1 + columns.len() + more.len()));
    table.push_str("|\n");
    table
}

fn write_row(table: &mut String, title: &str, cells: impl Iterator<Item = String>) {
    for cell in std::iter::once(title.to_owned()).chain(cells) {
        let space = if cell.is_empty() { "" } else { " " };
        write!(table, "|{space}{cell} ").expect("a string can be written to");
    }
    table.push_str("|\n");
}

/// The lowest and the highest rate, rounded to hundreds, or to tens below 1,000.
fn rates_cell(rates: &[f64]) -> String {
    let Some(Range { lowest, highest }) = Range::of(rates.iter().copied()) else { return String::new() };
    let [lowest, highest] = [lowest, highest].map(|rate| {
        let step = if rate < 1_000.0 { 10.0 } else { 100.0 };
        thousands(((rate / step).round() * step) as u64)
    });
    if lowest == highest { format!("{lowest}/s") } else { format!("{lowest} to {highest}/s") }
}

/// Writes a number with a comma before each group of three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendKind;
    use crate::peers::systems::{self, COLUMNS};

    #[test]
    fn a_cell_has_the_range_of_its_rates() {
        assert_eq!(rates_cell(&[9_777.0, 9_321.0, 9_500.0]), "9,300 to 9,800/s");
        assert_eq!(rates_cell(&[1_234_567.0]), "1,234,600/s");
        assert_eq!(rates_cell(&[516.0, 944.0]), "520 to 940/s");
        assert_eq!(rates_cell(&[]), "");
    }

    #[test]
    fn tables_have_a_cell_for_each_column() {
        let columns: Vec<_> =
            COLUMNS.iter().filter(|column| ["submit_all", "drain"].contains(&column.benchmark)).collect();
        let mut rows: Vec<_> = systems::on(BackendKind::Redis).map(Row::new).collect();
        rows[0].rates.insert("drain", vec![20_000.0, 30_000.0, 24_000.0]);
        rows[0].rates.insert("submit_all", vec![50_000.0]);
        rows[1].rates.insert("drain", vec![12_000.0]);
        let rates = rates_table(&columns, &rows);
        let lines: Vec<_> = rates.lines().collect();
        assert_eq!(lines[0], "| | bulk submits | drain | what is kept |");
        assert_eq!(lines[1], "|---|---|---|---|");
        assert_eq!(
            lines[2],
            "| pynenc | 50,000/s | 20,000 to 30,000/s | state, history, result; work of killed workers |"
        );
        assert_eq!(
            lines[3],
            "| rusty-sidekiq 0.15.2, 80 connections | | 12,000/s | nothing: work of killed workers is lost |"
        );
        assert_eq!(lines.len(), 2 + rows.len());
        let ratios = ratios_table(&columns, &rows);
        assert_eq!(ratios.lines().nth(2), Some("| rusty-sidekiq 0.15.2, 80 connections | | 2.00 |"));
    }
}
