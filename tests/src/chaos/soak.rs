//! Runs a steady load without faults. Memory, the disk and the number of entries must not grow.

use std::fmt;
use std::time::{Duration, Instant};

use pynenc::core::Clock;
use pynenc::core::Timestamp;
use pynenc::core::clock::SystemClock;
use pynenc::prelude::*;

use super::client;
use super::deployment::{Deployment, SHORT};
use super::load::EACH_SECOND;
use super::measure::{resident, slope};
use super::plan::Plan;

/// The maximum number of additional entries after the load. Some counters and lists exist from their first use on.
const NEW_ENTRIES: u64 = 30;
/// The longest time until finished invocations are gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measurements at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    /// Minutes since the start.
    minutes: f64,
    /// The resident memory of all workers in bytes.
    resident: f64,
    entries: f64,
    /// The bytes of the store.
    bytes: f64,
}

/// The growth of one measurement in the second half of a run.
#[derive(Debug, Clone, Copy)]
pub struct Trend {
    name: &'static str,
    mean: f64,
    a_minute: f64,
    a_thousand: f64,
    /// The growth relative to the mean.
    growth: f64,
    /// The maximum growth.
    bound: f64,
}

impl Trend {
    /// Whether the growth is within its bound.
    pub fn is_within_bound(&self) -> bool {
        self.growth <= self.bound
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mean, a_minute, a_thousand, growth, bound } = self;
        let (growth, bound) = (100.0 * growth, 100.0 * bound);
        let verdict = if self.is_within_bound() { "flat" } else { "GROWS" };
        write!(
            f,
            "{name}: mean {mean:.0}, {a_minute:+.1} a minute, {a_thousand:+.2} per 1,000 invocations; \
             {growth:+.1} % of its mean over the second half, at most {bound:.0} %: {verdict}"
        )
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct SoakReport {
    invocations: usize,
    length: Duration,
    trends: Vec<Trend>,
    entries_name: &'static str,
    entries_before: u64,
    entries_after: u64,
}

impl SoakReport {
    /// Whether nothing grows and nothing is left.
    pub fn is_success(&self) -> bool {
        self.trends.iter().all(Trend::is_within_bound) && self.is_clean()
    }

    /// Whether the store has about as many entries as before.
    pub fn is_clean(&self) -> bool {
        self.entries_after <= self.entries_before + NEW_ENTRIES
    }

    /// The number of invocations.
    pub fn invocations(&self) -> usize {
        self.invocations
    }
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invocations, length, entries_name, entries_before, entries_after, .. } = self;
        writeln!(f, "{invocations} runs in {length:?}")?;
        self.trends.iter().try_for_each(|trend| writeln!(f, "{trend}"))?;
        write!(
            f,
            "{entries_before} {entries_name} before, {entries_after} after every retention, at most {NEW_ENTRIES} more"
        )
    }
}

/// Runs a steady load without faults, and checks that nothing grows.
///
/// # Panics
///
/// Panics if the store or a process can't be started.
pub async fn run(plan: Plan) -> SoakReport {
    let mut deployment = Deployment::new(&plan, SHORT).await;
    (0..plan.workers).for_each(|number| deployment.start_worker(number));
    tokio::time::sleep(secs(1)).await;
    let entries_before = deployment.store.count();
    (0..plan.clients).for_each(|number| deployment.start_client(number));
    let samples = sample(&deployment, plan.length).await;
    let entries_after = empty(&deployment, entries_before).await;
    let starts: Vec<Timestamp> =
        deployment.shared.ledger.notes().iter().filter(|note| note.action == "begin").map(|note| note.at).collect();
    SoakReport {
        invocations: starts.len(),
        length: plan.length,
        trends: trends_of(&samples, &starts),
        entries_name: deployment.store.entries_name(),
        entries_before,
        entries_after,
    }
}

async fn sample(deployment: &Deployment, length: Duration) -> Vec<Sample> {
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < length {
        tokio::time::sleep((length / 120).clamp(millis(250), secs(5))).await;
        let workers = deployment.workers.iter().filter_map(|instance| resident(instance.process.as_ref()?.id()));
        samples.push(Sample {
            at: SystemClock.now(),
            minutes: start.elapsed().as_secs_f64() / 60.0,
            resident: workers.sum::<u64>() as f64,
            entries: deployment.store.count() as f64,
            bytes: deployment.store.bytes() as f64,
        });
    }
    samples
}

/// Stops the load, and counts the entries when every retention is over.
async fn empty(deployment: &Deployment, before: u64) -> u64 {
    deployment.app.triggers().pause(EACH_SECOND).await.expect("the store can be used");
    deployment.shared.open(client::STOP).expect("the shared folder exists");
    let start = Instant::now();
    while deployment.store.count() > before + NEW_ENTRIES && start.elapsed() < PATIENCE {
        tokio::time::sleep(millis(100)).await;
    }
    deployment.store.count()
}

fn trends_of(samples: &[Sample], starts: &[Timestamp]) -> Vec<Trend> {
    let half = &samples[samples.len() / 2..];
    let ran = |sample: &Sample| starts.iter().filter(|start| **start <= sample.at).count() as f64 / 1000.0;
    let thousands: Vec<f64> = half.iter().map(ran).collect();
    let trend = |name, bound, of: fn(&Sample) -> f64| {
        let by_minute: Vec<_> = half.iter().map(|sample| (sample.minutes, of(sample))).collect();
        let by_thousand: Vec<_> = thousands.iter().copied().zip(half.iter().map(of)).collect();
        let mean = half.iter().map(of).sum::<f64>() / half.len().max(1) as f64;
        let a_minute = slope(&by_minute);
        let minutes = half.last().map_or(0.0, |last| last.minutes) - half.first().map_or(0.0, |first| first.minutes);
        let growth = if mean > 0.0 { a_minute * minutes / mean } else { 0.0 };
        Trend { name, mean, a_minute, a_thousand: slope(&by_thousand), growth, bound }
    };
    // The store's size follows the load's rate, which varies. Permanent growth shows in the final count of entries.
    vec![
        trend("memory of the workers in bytes", 0.1, |sample| sample.resident),
        trend("entries of the store", 0.5, |sample| sample.entries),
        trend("size of the store in bytes", 0.2, |sample| sample.bytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trends(resident: impl Fn(u32) -> f64) -> Vec<Trend> {
        let sample = |n: u32| Sample {
            at: Timestamp::from_millis(u64::from(n) * 1000),
            minutes: f64::from(n) / 60.0,
            resident: resident(n),
            entries: 100.0 + f64::from(n % 3),
            bytes: 5e6,
        };
        let samples: Vec<_> = (0..100).map(sample).collect();
        let starts: Vec<_> = (0..100_000).map(Timestamp::from_millis).collect();
        trends_of(&samples, &starts)
    }

    #[test]
    fn growth_is_noticed() {
        assert!(trends(|_| 1e8).iter().all(Trend::is_within_bound));
        let [resident, entries, bytes] = trends(|n| 1e8 + 1e6 * f64::from(n))[..] else {
            panic!("expected three trends")
        };
        assert!(!resident.is_within_bound() && entries.is_within_bound() && bytes.is_within_bound(), "{resident}");
        assert!((resident.a_minute - 6e7).abs() < 1e3 && (resident.a_thousand - 1e6).abs() < 1e3, "{resident}");
    }
}
