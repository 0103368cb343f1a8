//! Timestamps and clocks. Components and the engine read the time only from a [`Clock`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::{self, Future};
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates the point in time `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Reads a time as people write it: in RFC 3339 such as `2026-03-01T12:00:00`, in UTC; a duration before `now` such as
    /// `2h`; or the milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The text is none of these.
    pub fn parse(text: &str, now: Self) -> Result<Self, String> {
        if let Ok(millis) = text.parse() {
            return Ok(Self(millis));
        }
        if let Ok(ago) = crate::config::duration::parse(text) {
            return Ok(now - ago);
        }
        let time = humantime::parse_rfc3339_weak(text).map(Self::from);
        time.map_err(|_| "expected a duration such as 2h, or a time such as 2026-03-01T12:00:00".into())
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// Formats the time as RFC 3339 in UTC. A time after the year 9999 is shown as the end of that year.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: u64 = 253_402_300_799_999;
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0.min(LAST))).fmt(f)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, whole_millis))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }
}

/// Converts `duration` to milliseconds, rounded up so that a wait never ends early.
fn whole_millis(duration: Duration) -> u64 {
    let rest = duration.subsec_nanos().div_ceil(1_000_000);
    duration.as_secs().saturating_mul(1000).saturating_add(u64::from(rest))
}

/// The future of a [`Clock`]'s sleep.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of time.
///
/// # Behavior
///
/// - `now` never goes back by more than the system's clock does
/// - `sleep_until` ends when `now` has reached the deadline, and at once when it has already
/// - a dropped sleep leaves nothing behind
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Sleeps until `deadline`.
    fn sleep_until(&self, deadline: Timestamp) -> Sleep;

    /// Sleeps for `duration`.
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }
}

/// The system clock, with tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

/// A clock that starts at the system time and follows tokio's monotonic time.
///
/// This clock follows the paused time of a tokio runtime, and it never goes back.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    epoch: Timestamp,
    start: tokio::time::Instant,
}

impl TokioClock {
    /// Creates a clock that starts at the system time.
    pub fn new() -> Self {
        Self::starting_at(SystemClock.now())
    }

    /// Creates a clock that starts at `time`, for tests that depend on the time of day.
    pub fn starting_at(time: Timestamp) -> Self {
        Self { epoch: time, start: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.epoch.0.saturating_add(elapsed))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep_until(self.start + deadline.since(self.epoch)))
    }
}

/// The system clock plus an offset that can be increased. Clones share the offset.
#[derive(Debug, Clone, Default)]
pub struct LeapingClock {
    ahead: Arc<AtomicU64>,
}

impl LeapingClock {
    /// Moves the clock ahead to `time`. An earlier time has no effect.
    pub fn leap_to(&self, time: Timestamp) {
        self.ahead.fetch_add(time.0.saturating_sub(self.now().0), Ordering::Relaxed);
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

/// A clock that only moves when it is set. Clones share one time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    now: Timestamp,
    next_sleeper: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { state: Arc::new(Mutex::new(ManualState { now, next_sleeper: 0, sleepers: BTreeMap::new() })) }
    }

    /// Moves the clock to `now` and wakes the sleepers whose deadline has come. An earlier time has no effect.
    pub fn set(&self, now: Timestamp) {
        let woken: Vec<Waker> = {
            let mut state = self.lock();
            state.now = state.now.max(now);
            let first_later = (state.now + Duration::from_millis(1), 0);
            let later = state.sleepers.split_off(&first_later);
            std::mem::replace(&mut state.sleepers, later).into_values().collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Moves the clock ahead by `duration` in one step.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }

    /// Returns the earliest deadline of a sleeper.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.lock().sleepers.keys().next().map(|(deadline, _)| *deadline)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// Creates a clock that shows 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_millis(1_767_225_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let mut sleeper = Sleeper { clock: self.clone(), deadline, number: None };
        Box::pin(future::poll_fn(move |cx| sleeper.poll(cx.waker())))
    }
}

struct Sleeper {
    clock: ManualClock,
    deadline: Timestamp,
    number: Option<u64>,
}

impl Sleeper {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let number = *self.number.get_or_insert_with(|| {
            state.next_sleeper += 1;
            state.next_sleeper
        });
        state.sleepers.insert((self.deadline, number), waker.clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.lock().sleepers.remove(&(self.deadline, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_timestamp_is_formatted_in_utc() {
        assert_eq!(Timestamp::from_millis(7).to_string(), "1970-01-01T00:00:00.007Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_manual_clock_ends_a_sleep_at_its_deadline() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(5));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_millis(4_999));
        assert!((&mut sleep).now_or_never().is_none());
        assert_eq!(clock.next_wake(), Some(clock.now() + Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert!(sleep.now_or_never().is_some());
    }

    #[test]
    fn a_dropped_sleep_is_removed() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(5));
        assert!((&mut sleep).now_or_never().is_none());
        drop(sleep);
        assert_eq!(clock.next_wake(), None);
    }

    #[test]
    fn a_leaping_clock_never_goes_back() {
        let clock = LeapingClock::default();
        let target = clock.now() + Duration::from_secs(3600);
        clock.leap_to(target);
        assert!(clock.now() >= target);
        clock.leap_to(Timestamp::from_millis(0));
        assert!(clock.now() >= target);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tokio_clock_follows_a_paused_runtime() {
        let clock = TokioClock::new();
        let start = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert!(clock.now() >= start + Duration::from_secs(3600));
    }

    #[test]
    fn a_fraction_of_a_millisecond_is_rounded_up() {
        let start = Timestamp::from_millis(10);
        assert_eq!(start + Duration::from_micros(1), Timestamp::from_millis(11));
        assert_eq!(start + Duration::MAX, Timestamp::from_millis(u64::MAX));
    }
}
