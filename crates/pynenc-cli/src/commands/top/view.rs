//! The live view: its state, what keys change in it, and its drawing.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Wrap};

use super::reading::Reading;
use super::tables::{FIRST_SORTS, TABLES, Table, Value, summary, tables};

/// The intervals that `+` and `-` choose.
const INTERVALS: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
/// The lines of a table besides its rows: a border with the title, and the head.
const HEAD: u16 = 2;
/// The fewest lines in which all tables are shown; with fewer ones, only the chosen table is.
const ALL_TABLES: u16 = TABLES as u16 * (HEAD + 2);

/// How often the app is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) is_paused: bool,
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct View {
    app: String,
    pub(super) pace: Pace,
    reading: Option<Reading>,
    /// Why the last reading failed.
    error: Option<String>,
    /// The chosen table.
    chosen: usize,
    /// By table, the column by which it is sorted.
    sorts: [usize; TABLES],
    /// By table, the number of rows above the first shown one.
    offsets: [usize; TABLES],
    is_help: bool,
}

impl View {
    pub(super) fn new(app: String, interval: Duration) -> Self {
        let pace = Pace { interval, is_paused: false };
        let (sorts, offsets) = (FIRST_SORTS, [0; TABLES]);
        Self { app, pace, reading: None, error: None, chosen: 0, sorts, offsets, is_help: false }
    }

    /// Takes a reading, or the message of a failed one.
    pub(super) fn update(&mut self, reading: Result<Reading, String>) {
        match reading {
            Ok(reading) => (self.reading, self.error) = (Some(reading), None),
            Err(error) => self.error = Some(error),
        }
    }

    /// Handles a key. Returns whether the view goes on.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let offset = &mut self.offsets[self.chosen];
        let sort = &mut self.sorts[self.chosen];
        match key.code {
            KeyCode::Char('c') if is_control => return false,
            KeyCode::Char('q') => return false,
            KeyCode::Char('?') => self.is_help = !self.is_help,
            KeyCode::Esc => self.is_help = false,
            KeyCode::Char('p' | ' ') => self.pace.is_paused = !self.pace.is_paused,
            KeyCode::Char('+') => self.pace.interval = slower(self.pace.interval),
            KeyCode::Char('-') => self.pace.interval = faster(self.pace.interval),
            KeyCode::Tab => self.chosen = (self.chosen + 1) % TABLES,
            KeyCode::BackTab => self.chosen = (self.chosen + TABLES - 1) % TABLES,
            // Drawing limits both of them to the rows and columns that exist.
            KeyCode::Down => *offset = offset.saturating_add(1),
            KeyCode::Up => *offset = offset.saturating_sub(1),
            KeyCode::PageDown => *offset = offset.saturating_add(10),
            KeyCode::PageUp => *offset = offset.saturating_sub(10),
            KeyCode::End => *offset = usize::MAX,
            KeyCode::Home => *offset = 0,
            KeyCode::Right => *sort = sort.saturating_add(1),
            KeyCode::Left => *sort = sort.saturating_sub(1),
            _ => {}
        }
        true
    }

    /// Draws the view in the whole terminal, whatever its size.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let lines = self.summary(usize::from(frame.area().width));
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let [top, rest] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(frame.area());
        frame.render_widget(Paragraph::new(lines), top);
        match self.reading.as_ref().map(tables) {
            Some(tables) if self.is_help => frame.render_widget(help(&tables), rest),
            Some(tables) => self.draw_tables(frame, rest, tables),
            None if self.error.is_none() => frame.render_widget("reading the stores…", rest),
            None => {}
        }
    }

    /// The lines above the tables.
    fn summary(&self, width: usize) -> Vec<Line<'static>> {
        let error = self.error.iter().map(|error| format!("can't read the stores, trying again: {error}"));
        let error = error.flat_map(|text| wrapped(&text, " ", width));
        let error = error.map(|line| Line::styled(line, Style::new().fg(Color::Red)));
        let texts = self.reading.iter().flat_map(summary);
        let texts = texts.flat_map(|text| wrapped(&text, "  ", width)).map(Line::from);
        std::iter::once(self.title()).chain(error).chain(texts).collect()
    }

    fn title(&self) -> Line<'static> {
        let at = self.reading.as_ref().map(|reading| format!("  {}", reading.at)).unwrap_or_default();
        let pace = if self.pace.is_paused {
            "paused".to_owned()
        } else {
            format!("every {}", humantime::format_duration(self.pace.interval))
        };
        let text = format!("app {}{at}  {pace}  ? help  q quit", self.app);
        Line::styled(text, Style::new().add_modifier(Modifier::BOLD))
    }

    fn draw_tables(&mut self, frame: &mut Frame<'_>, area: Rect, tables: [Table; TABLES]) {
        let heights = heights(area.height, self.chosen, &tables);
        let areas = Layout::vertical(heights.map(Constraint::Length)).areas::<TABLES>(area);
        for (number, (mut table, area)) in tables.into_iter().zip(areas).enumerate() {
            let sort = &mut self.sorts[number];
            *sort = (*sort).min(table.columns.len() - 1);
            table.sort(*sort);
            let shown = usize::from(area.height.saturating_sub(HEAD));
            let offset = &mut self.offsets[number];
            *offset = (*offset).min(table.rows.len().saturating_sub(shown));
            frame.render_widget(widget(&table, area.width, *sort, *offset, number == self.chosen), area);
        }
    }
}

fn slower(interval: Duration) -> Duration {
    INTERVALS.into_iter().find(|it| *it > interval).unwrap_or(interval)
}

fn faster(interval: Duration) -> Duration {
    INTERVALS.into_iter().rfind(|it| *it < interval).unwrap_or(interval)
}

/// The heights of the tables. A table gets no more lines than it fills, so that the others can have them; the chosen one
/// is the first to get more. In a small terminal only the chosen table is shown.
fn heights(height: u16, chosen: usize, tables: &[Table; TABLES]) -> [u16; TABLES] {
    let mut heights = [0; TABLES];
    if height < ALL_TABLES {
        heights[chosen] = height;
        return heights;
    }
    let full = |table: &Table| u16::try_from(table.rows.len()).unwrap_or(u16::MAX).saturating_add(HEAD);
    let equal = height / TABLES as u16;
    for (height, table) in heights.iter_mut().zip(tables) {
        *height = full(table).clamp(HEAD + 1, equal);
    }
    for number in [chosen].into_iter().chain(0..TABLES) {
        let rest = height - heights.iter().sum::<u16>();
        heights[number] = full(&tables[number]).max(heights[number]).min(heights[number] + rest);
    }
    heights
}

fn widget(table: &Table, width: u16, sort: usize, offset: usize, is_chosen: bool) -> ratatui::widgets::Table<'static> {
    let others: u16 = table.columns[1..].iter().map(|(_, width)| width + 1).sum();
    let first = width.saturating_sub(others).max(8);
    let widths = std::iter::once(first).chain(table.columns[1..].iter().map(|(_, width)| *width));
    let head = table.columns.iter().enumerate().map(|(column, (name, width))| {
        let style = if column == sort { Style::new().add_modifier(Modifier::UNDERLINED) } else { Style::new() };
        let is_number = table.rows.first().is_some_and(|row| matches!(row[column], Value::Number(..)));
        Cell::new(aligned(name, *width, is_number)).style(style)
    });
    let rows = table.rows.iter().skip(offset).map(|row| {
        let cells = row.iter().zip(table.columns).enumerate().map(|(column, (value, (_, width)))| {
            let text = if column == 0 { shortened(value.text(), first) } else { value.text().to_owned() };
            aligned(&text, *width, matches!(value, Value::Number(..)))
        });
        Row::new(cells.collect::<Vec<_>>())
    });
    let style = if is_chosen { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    let title = match offset {
        0 => format!(" {} ({}) ", table.title, table.rows.len()),
        _ => format!(" {} ({}, {offset} above) ", table.title, table.rows.len()),
    };
    let mark = if is_chosen { "▶" } else { "" };
    let block = Block::new().borders(Borders::TOP).title(format!("{mark}{title}")).title_style(style);
    ratatui::widgets::Table::new(rows, widths.map(Constraint::Length).collect::<Vec<_>>())
        .header(Row::new(head.collect::<Vec<_>>()).style(Style::new().fg(Color::Cyan)))
        .block(block)
}

/// Breaks a text at separators, so that lines fit the width if their parts do.
fn wrapped(text: &str, separator: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split(separator) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + separator.len() + part.chars().count() <= width => {
                *line += separator;
                *line += part;
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// Aligns numbers to the right.
fn aligned(text: &str, width: u16, is_number: bool) -> String {
    if is_number { format!("{text:>width$}", width = usize::from(width)) } else { text.to_owned() }
}

/// The end of a text that is too long: the end of a task's path says most.
fn shortened(text: &str, width: u16) -> String {
    let (length, width) = (text.chars().count(), usize::from(width));
    if length <= width {
        return text.to_owned();
    }
    let end = text.chars().skip(length + 1 - width);
    std::iter::once('…').chain(end).collect()
}

fn help(tables: &[Table; TABLES]) -> Paragraph<'static> {
    let keys = [
        "q, Ctrl-C        quit",
        "p, space         pause, or go on",
        "+ and -          longer or shorter interval",
        "Tab, Shift-Tab   choose another table",
        "up, down, PgUp, PgDn, Home, End   scroll the chosen table",
        "left, right      sort the chosen table by another column",
        "?, Esc           close this help",
        "",
    ];
    let notes = tables.iter().map(|table| Line::from(table.note.clone()));
    let rates = "rates are averages of 10 s; they don't see invocations that were deleted meanwhile";
    let lines = keys.into_iter().map(Line::from).chain(notes).chain([Line::from(rates)]);
    Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false }).block(Block::new().borders(Borders::TOP))
}

#[cfg(test)]
mod tests {
    use pynenc_core::{Status, Timestamp};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::reading::{Queue, Rates, Runner, Task};
    use super::*;

    fn reading() -> Reading {
        let queue = |name: &str, waiting| Queue {
            name: name.to_owned(),
            waiting,
            ready: Some(waiting),
            delayed: Some(0),
            oldest_ready: Some(Duration::from_secs(90)),
            running: 2,
        };
        let runner = Runner {
            description: "db1 process 4711".to_owned(),
            state: "alive",
            slots: 8,
            slots_used: Some(2),
            owned: 2,
            queues: "default,gpu".to_owned(),
            heard: Duration::from_millis(1200),
            ..Runner::default()
        };
        let task = |number: u64| Task {
            name: format!("shop::payment_providers::with_long_names::charge_{number}"),
            failed: number,
            finished: 100,
            mean: Some(Duration::from_millis(20)),
            ..Task::default()
        };
        Reading {
            app: "shop".to_owned(),
            at: Timestamp::from_millis(1_700_000_000_000),
            rates: Some(Rates { submitted: 12.5, finished: 11.0, failed: 0.5 }),
            statuses: [(Status::Running, 2), (Status::Success, 940)].into(),
            slots: 8,
            slots_used: 2,
            queues: vec![queue("default", 3), queue("gpu", 700)],
            runners: vec![runner],
            tasks: (0..40).map(task).collect(),
            ..Reading::default()
        }
    }

    fn view() -> View {
        let mut view = View::new("shop".to_owned(), Duration::from_secs(2));
        view.update(Ok(reading()));
        view
    }

    fn drawn(view: &mut View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("the backend can't fail");
        terminal.draw(|frame| view.draw(frame)).expect("the backend can't fail");
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    fn press(view: &mut View, keys: &[KeyCode]) -> bool {
        keys.iter().all(|key| view.press(KeyEvent::from(*key)))
    }

    #[test]
    fn everything_is_shown_in_24_lines() {
        let lines = drawn(&mut view(), 80, 24);
        let rule = |title: &str| format!("{title:─<80}");
        let expected = [
            "app shop  2023-11-14T22:13:20.000Z  every 2s  ? help  q quit",
            "submitted 12.5/s  finished 11.0/s  failed 0.5/s  slots 2/8  runners 1",
            "running 2  success 940",
            &rule("▶ queues (2) "),
            "queue                            waiting     ready   delayed    oldest   running",
            "gpu                                  700       700         0     1m30s         2",
            "default                                3         3         0     1m30s         2",
            &rule(" runners (1) "),
            "runner                      state        slots    owns    heard queues",
            "db1 process 4711            alive          2/8       2     1.2s default,gpu",
            &rule(" tasks (40) "),
            "task                     failed retries finished    mean longest running   since",
            "…_long_names::charge_39      39       0      100    20ms       -       0       -",
        ];
        assert_eq!(lines[..expected.len()], expected);
        assert_eq!(lines[23], "…_long_names::charge_28      28       0      100    20ms       -       0       -");
    }

    #[test]
    fn keys_sort_and_scroll_the_chosen_table() {
        let mut view = view();
        let tasks = |view: &mut View| {
            let lines = drawn(view, 80, 24);
            let head = lines.iter().position(|line| line.contains("tasks (40")).expect("the tasks are shown");
            lines[head + 2].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(tasks(&mut view), "…_long_names::charge_39 39");
        press(&mut view, &[KeyCode::BackTab, KeyCode::Down]);
        assert!(tasks(&mut view).ends_with("charge_38 38"));
        press(&mut view, &[KeyCode::Left, KeyCode::Home]);
        assert!(tasks(&mut view).ends_with("charge_0 0"), "sorted by name");
        press(&mut view, &[KeyCode::End, KeyCode::Left, KeyCode::Left]);
        assert!(
            drawn(&mut view, 80, 24).last().expect("there are lines").contains("charge_9 "),
            "the last page is full"
        );
    }

    #[test]
    fn a_failed_reading_is_shown_until_the_next_one_succeeds() {
        let mut view = view();
        view.update(Err("connection refused".to_owned()));
        let lines = drawn(&mut view, 80, 24);
        assert_eq!(lines[1], "can't read the stores, trying again: connection refused");
        assert!(lines.iter().any(|line| line.starts_with("gpu ")), "the last reading stays: {lines:#?}");
        view.update(Ok(reading()));
        assert!(!drawn(&mut view, 80, 24).concat().contains("refused"));
        let mut new = View::new("shop".to_owned(), Duration::from_secs(2));
        assert!(drawn(&mut new, 80, 24)[1].contains("reading the stores"));
    }

    #[test]
    fn keys_change_the_pace_and_quit() {
        let mut view = view();
        press(&mut view, &[KeyCode::Char('p'), KeyCode::Char('+')]);
        assert_eq!(view.pace, Pace { interval: Duration::from_secs(5), is_paused: true });
        press(&mut view, &[KeyCode::Char('-'); 9]);
        assert_eq!(view.pace.interval, INTERVALS[0]);
        assert!(drawn(&mut view, 80, 24)[0].contains("paused"));
        press(&mut view, &[KeyCode::Char('?')]);
        assert!(drawn(&mut view, 80, 24).concat().contains("the last 200 finished invocations"));
        press(&mut view, &[KeyCode::Esc]);
        assert!(drawn(&mut view, 80, 24).concat().contains("queues (2)"));
        assert!(!press(&mut view, &[KeyCode::Char('q')]));
        assert!(!view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn a_small_terminal_shows_the_chosen_table_alone() {
        let mut view = view();
        let lines = drawn(&mut view, 70, 9);
        assert!(lines[4].starts_with("queue ") && lines.iter().all(|line| !line.contains("runners (")), "{lines:#?}");
        press(&mut view, &[KeyCode::Tab]);
        let lines = drawn(&mut view, 70, 9);
        assert!(lines[3].contains("runners (1)") && lines[5].starts_with("db1 process 4711"), "{lines:#?}");
        for (width, height) in [(1, 1), (0, 0), (3, 40), (200, 2), (20, 5)] {
            drawn(&mut view, width, height);
        }
    }
}
