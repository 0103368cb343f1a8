//! The backoff: the wait before each retry.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call_syntax;
use crate::config::duration;

/// The wait before each retry of a failed invocation.
///
/// As text: `none`, `constant(5s)`, `exponential`, `exponential(1s, 2, 5m)` or `exponential(1s, 2, 5m, no_jitter)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Backoff {
    /// The wait grows with each retry.
    Exponential {
        /// The first wait.
        base: Duration,
        /// The factor from one wait to the next.
        factor: f64,
        /// The longest wait.
        max: Duration,
        /// Whether each wait is shortened by a random amount of at most half.
        jitter: bool,
    },
    /// All waits are equal.
    Constant(Duration),
    /// There is no wait.
    None,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::Exponential { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(300), jitter: true }
    }
}

impl Backoff {
    /// Returns the wait before a retry. `retry` is counted from 1; `random` is from 0 to 1 and only used for jitter.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        match *self {
            Self::None => Duration::ZERO,
            Self::Constant(wait) => wait,
            Self::Exponential { base, .. } if base.is_zero() => Duration::ZERO,
            Self::Exponential { base, factor, max, jitter } => {
                let steps = f64::from(retry.saturating_sub(1));
                let seconds = (base.as_secs_f64() * factor.powf(steps)).min(max.as_secs_f64());
                let share = if jitter { 0.5 + 0.5 * random.clamp(0.0, 1.0) } else { 1.0 };
                Duration::try_from_secs_f64(seconds * share).unwrap_or(max).min(max)
            }
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        match self {
            Self::Exponential { factor, .. } if !factor.is_finite() || *factor < 1.0 => {
                Err("must have a factor of at least 1".into())
            }
            _ => Ok(()),
        }
    }

    fn exponential(parts: &[&str]) -> Option<Self> {
        let (parts, jitter) = match parts.split_last() {
            Some((last, rest)) if last.eq_ignore_ascii_case("no_jitter") => (rest, false),
            _ => (parts, true),
        };
        let wait = |at: usize, or: u64| parts.get(at).map_or(Ok(Duration::from_secs(or)), |text| duration::parse(text));
        let factor = parts.get(1).map_or(Ok(2.0), |text| text.parse());
        let backoff =
            Self::Exponential { base: wait(0, 1).ok()?, factor: factor.ok()?, max: wait(2, 300).ok()?, jitter };
        (parts.len() <= 3).then_some(backoff)
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |wait: &Duration| duration::text(*wait);
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(wait) => write!(f, "constant({})", shown(wait)),
            Self::Exponential { base, factor, max, jitter } => {
                let jitter = if *jitter { "" } else { ", no_jitter" };
                write!(f, "exponential({}, {factor}, {}{jitter})", shown(base), shown(max))
            }
        }
    }
}

impl FromStr for Backoff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, parts) = call_syntax::parse(text).unwrap_or_else(|| (text.trim().to_ascii_lowercase(), Vec::new()));
        let read = match (name.as_str(), parts.as_slice()) {
            ("none", []) => Some(Self::None),
            ("constant", [wait]) => duration::parse(wait).ok().map(Self::Constant),
            ("exponential", parts) => Self::exponential(parts),
            _ => None,
        };
        let backoff = read.ok_or_else(|| {
            format!(
                "`{text}` isn't a backoff: use none, constant(5s), exponential, exponential(1s, 2, 5m) or \
                 exponential(1s, 2, 5m, no_jitter)"
            )
        })?;
        backoff.validate().map(|()| backoff)
    }
}

impl TryFrom<String> for Backoff {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(backoff: Backoff) -> Self {
        backoff.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_backoff(text: &str, expected: Option<&str>) {
        let read = text.parse::<Backoff>().ok().map(|backoff| backoff.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_backoff_is_parsed_from_text() {
        check_backoff("None", Some("none"));
        check_backoff("constant(5)", Some("constant(5s)"));
        check_backoff("exponential", Some("exponential(1s, 2, 5m)"));
        check_backoff("exponential(2s)", Some("exponential(2s, 2, 5m)"));
        check_backoff("exponential(100ms, 1.5, 1m, no_jitter)", Some("exponential(100ms, 1.5, 1m, no_jitter)"));
        check_backoff("exponential(no_jitter)", Some("exponential(1s, 2, 5m, no_jitter)"));
        for refused in
            ["", "constant", "constant(x)", "linear(1s)", "exponential(1s, 0.5)", "exponential(1s, NaN)", "none(1)"]
        {
            check_backoff(refused, None);
        }
    }

    #[test]
    fn exponential_waits_grow_to_the_maximum() {
        let backoff = Backoff::default();
        let waits = [0, 1, 2, 3, 9, 10, u32::MAX].map(|retry| backoff.delay(retry, 1.0).as_secs());
        assert_eq!(waits, [1, 1, 2, 4, 256, 300, 300]);
        assert_eq!(backoff.delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(Backoff::Constant(Duration::from_secs(5)).delay(7, 0.0), Duration::from_secs(5));
        assert_eq!(Backoff::None.delay(7, 1.0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_maximum(
            base: u64, factor in prop::num::f64::ANY, max: u64, jitter: bool, retry: u32, random in prop::num::f64::ANY,
        ) {
            let max = Duration::from_secs(max);
            let backoff = Backoff::Exponential { base: Duration::from_secs(base), factor, max, jitter };
            prop_assert!(backoff.delay(retry, random) <= max);
        }

        #[test]
        fn jitter_shortens_a_wait_by_at_most_half(retry in 1_u32..50, random in 0.0..=1.0) {
            let wait = Backoff::default().delay(retry, random);
            let full = Backoff::default().delay(retry, 1.0);
            prop_assert!(wait <= full && wait >= full / 2);
        }

        #[test]
        fn backoff_survives_a_round_trip(base: u32, factor in 1.0..100.0_f64, max: u32, jitter: bool) {
            let secs = |secs: u32| Duration::from_secs(secs.into());
            let backoff = Backoff::Exponential { base: secs(base), factor, max: secs(max), jitter };
            prop_assert_eq!(backoff.to_string().parse::<Backoff>(), Ok(backoff));
        }
    }
}
