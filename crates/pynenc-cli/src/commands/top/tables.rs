//! The tables of a reading, for the live view and for text.

use std::cmp::Ordering;
use std::time::Duration;

use super::reading::{MAX_FINISHED, MAX_QUEUES, MAX_RUNNERS, Reading};
use crate::output::duration;

/// A table whose rows can be sorted by each column.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    /// The names of the columns with their widths. The first column takes the rest of the line.
    pub(super) columns: &'static [(&'static str, u16)],
    pub(super) rows: Vec<Vec<Value>>,
    /// The limit of the table, for the help.
    pub(super) note: String,
}

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// A number and its text. An unknown number comes after all others.
    Number(Option<f64>, String),
}

impl Value {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(_, text) => text,
        }
    }

    /// Orders texts by the alphabet, and numbers with the greatest first.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one, _), Self::Number(other, _)) => other.partial_cmp(one).unwrap_or(Ordering::Equal),
            _ => self.text().cmp(other.text()),
        }
    }
}

impl Table {
    /// Sorts the rows by a column. Rows with equal values keep their order.
    pub(super) fn sort(&mut self, column: usize) {
        self.rows.sort_by(|one, other| one[column].compare(&other[column]));
    }
}

/// The number of tables.
pub(super) const TABLES: usize = 3;
/// The columns by which the tables are sorted at first.
pub(super) const FIRST_SORTS: [usize; TABLES] = [1, 0, 1];

pub(super) fn tables(reading: &Reading) -> [Table; TABLES] {
    [queues(reading), runners(reading), tasks(reading)]
}

fn queues(reading: &Reading) -> Table {
    let running = |count: u64| {
        let text = if reading.is_partial { format!("{count}+") } else { count.to_string() };
        Value::Number(Some(count as f64), text)
    };
    let rows = reading.queues.iter().map(|queue| {
        vec![
            Value::Text(queue.name.clone()),
            number(Some(queue.waiting)),
            number(queue.ready),
            number(queue.delayed),
            time(queue.oldest_ready),
            running(queue.running),
        ]
    });
    Table {
        title: "queues",
        columns: &[("queue", 0), ("waiting", 9), ("ready", 9), ("delayed", 9), ("oldest", 9), ("running", 9)],
        rows: rows.collect(),
        note: format!(
            "ready and delayed invocations are counted for {MAX_QUEUES} queues, those with the most waiting ones"
        ),
    }
}

fn runners(reading: &Reading) -> Table {
    let rows = reading.runners.iter().map(|runner| {
        let used = runner.slots_used.map_or_else(|| "?".to_owned(), |used| used.to_string());
        vec![
            Value::Text(runner.description.clone()),
            Value::Text(runner.state.to_owned()),
            Value::Number(runner.slots_used.map(|used| used as f64), format!("{used}/{}", runner.slots)),
            number(Some(runner.owned)),
            time(Some(runner.heard)),
            Value::Text(runner.queues.clone()),
        ]
    });
    Table {
        title: "runners",
        columns: &[("runner", 0), ("state", 8), ("slots", 9), ("owns", 7), ("heard", 8), ("queues", 16)],
        rows: rows.collect(),
        note: format!("used slots are counted for {MAX_RUNNERS} runners, those with the most invocations"),
    }
}

fn tasks(reading: &Reading) -> Table {
    let rows = reading.tasks.iter().map(|task| {
        vec![
            Value::Text(task.name.clone()),
            number(Some(task.failed)),
            number(Some(task.retries)),
            number(Some(task.finished)),
            time(task.mean),
            time(task.longest),
            number(Some(task.running)),
            time(task.running_for),
        ]
    });
    Table {
        title: "tasks",
        columns: &[
            ("task", 0),
            ("failed", 7),
            ("retries", 7),
            ("finished", 8),
            ("mean", 7),
            ("longest", 7),
            ("running", 7),
            ("since", 7),
        ],
        rows: rows.collect(),
        note: format!(
            "tasks are counted from the last {MAX_FINISHED} finished invocations of 5 minutes, and from those that run"
        ),
    }
}

fn number(count: Option<u64>) -> Value {
    Value::Number(count.map(|count| count as f64), count.map_or_else(|| "?".to_owned(), |count| count.to_string()))
}

fn time(time: Option<Duration>) -> Value {
    let text = match time {
        None => "-".to_owned(),
        Some(Duration::ZERO) => "0".to_owned(),
        Some(time) => duration(time).replace(' ', ""),
    };
    Value::Number(time.map(|time| time.as_secs_f64()), text)
}

/// The lines above the tables: rates, slots and runners, and the statuses.
pub(super) fn summary(reading: &Reading) -> [String; 2] {
    let rates = reading.rates.map_or_else(String::new, |rates| {
        let (submitted, finished, failed) = (rates.submitted, rates.finished, rates.failed);
        format!("submitted {submitted:.1}/s  finished {finished:.1}/s  failed {failed:.1}/s  ")
    });
    let alive = reading.runners.iter().filter(|runner| runner.state == "alive").count();
    let more = if reading.is_partial { "+" } else { "" };
    let runners = format!("slots {}{more}/{}  runners {alive}", reading.slots_used, reading.slots);
    let statuses = reading.statuses.iter().filter(|(_, count)| **count > 0);
    let statuses: Vec<_> = statuses.map(|(status, count)| format!("{status} {count}")).collect();
    let statuses = if statuses.is_empty() { "no invocations".to_owned() } else { statuses.join("  ") };
    [rates + &runners, statuses]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_number_comes_first_and_an_unknown_one_last() {
        let row = |name: &str, count| vec![Value::Text(name.to_owned()), number(count)];
        let rows = vec![row("b", None), row("c", Some(3)), row("a", Some(20))];
        let mut table = Table { title: "", columns: &[("name", 0), ("count", 5)], rows, note: String::new() };
        let names = |table: &Table| table.rows.iter().map(|row| row[0].text().to_owned()).collect::<String>();
        table.sort(1);
        assert_eq!(names(&table), "acb");
        table.sort(0);
        assert_eq!(names(&table), "abc");
    }
}
