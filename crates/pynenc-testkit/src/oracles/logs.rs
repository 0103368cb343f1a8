//! Checks that no process panicked, that no error flooded a log, and that work resumed in time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::breach::Breach;
use super::evidence::{Evidence, Log};

/// Within this window an error may be logged once, and once more for each disturbance.
const WINDOW: Duration = Duration::from_secs(30);

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    for recovery in evidence.recoveries.iter().filter(|recovery| recovery.took > recovery.bound) {
        let found = format!("{:?} after {}, at most {:?} are allowed", recovery.took, recovery.after, recovery.bound);
        breaches.push(Breach::new("I11", "work resumes soon after a store is back", found));
    }
    for log in &evidence.logs {
        breaches.extend(panics(log));
        breaches.extend(floods(log));
        breaches.extend(debug_texts(log));
    }
}

fn panics(log: &Log) -> Option<Breach> {
    let mut lines = log.text.lines().skip_while(|line| !line.contains("panicked at"));
    let found = format!("{}: {}\n{}", log.name, lines.next()?, lines.next().unwrap_or_default());
    Some(Breach::new("I12", "no panic in any process", found))
}

/// Finds a value in Rust's `Debug` form.
fn debug_texts(log: &Log) -> Option<Breach> {
    let is_debug = |line: &&str| ["=Some(", "=None", "Timestamp("].iter().any(|text| line.contains(text));
    let found = log.text.lines().find(is_debug)?;
    Some(Breach::new("I12", "a log line is written for people", format!("{}: {found}", log.name)))
}

fn floods(log: &Log) -> Vec<Breach> {
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (seconds, text) in log.text.lines().filter_map(complaint) {
        times.entry(text).or_default().push(seconds);
    }
    let allowed = 1 + log.disturbances;
    let flooded = times.into_iter().filter(|(_, times)| most_within(times, WINDOW.as_secs()) > allowed);
    let breach = |(text, times): (String, Vec<u64>)| {
        let found = format!("{} times in {} with {} disturbances: {text}", times.len(), log.name, log.disturbances);
        Breach::new("I12", "one line per 30 s for a repeated error", found)
    };
    flooded.map(breach).collect()
}

/// Parses a warning or error that doesn't belong to one invocation: its time and its text without numbers.
fn complaint(line: &str) -> Option<(u64, String)> {
    let (time, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    let is_complaint = rest.starts_with("WARN ") || rest.starts_with("ERROR ");
    (is_complaint && !rest.contains("invocation=")).then_some(())?;
    Some((seconds(time)?, without_numbers(rest)))
}

/// Replaces words with a digit, which are numbers or ids. Lines that differ only there repeat the same error.
fn without_numbers(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words.map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word }).collect()
}

/// The second of the day in `2026-01-31T10:20:30.123456Z`.
fn seconds(time: &str) -> Option<u64> {
    let clock = time.split_once('T')?.1.get(..8)?;
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

/// The largest number of times within one window.
fn most_within(times: &[u64], window: u64) -> usize {
    let within = |from: &u64| times.iter().filter(|time| (*from..from + window).contains(*time)).count();
    times.iter().map(within).max().unwrap_or(0)
}
