//! Small parts of pages: times, durations, statuses.

use maud::{Markup, html};
use pynenc_core::{Status, Timestamp};

/// A time. The script shows it in the viewer's zone, with UTC on hover.
pub(super) fn time(millis: u64) -> Markup {
    let utc = Timestamp::from_millis(millis).to_string();
    html! { time datetime=(utc) title=(utc) { (utc) } }
}

/// A status with its color.
pub(super) fn status(status: Status) -> Markup {
    html! { span class={ "status " (status) } { (status) } }
}

/// A duration with the precision that people need: `250 ms`, `1.5 s`, `1 m 30 s`, `2 h 5 m`.
pub(super) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{:.1} s", millis as f64 / 1000.0),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}
