//! A house under a steady load that nobody disturbs: nothing in it may grow.

use std::fmt;
use std::time::{Duration, Instant};

use pynenc::core::Clock;
use pynenc::core::Timestamp;
use pynenc::core::clock::SystemClock;
use pynenc::prelude::*;

use super::client;
use super::load::EACH_SECOND;
use super::measure::{resident, slope};
use super::run::Plan;
use super::site::{SHORT, Site};

/// What may stay behind when the load is over: what numbers and lists things has a key of its own from its first use on.
const NEW_KEYS: u64 = 30;
/// How long the ended may take to be forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    /// Since the beginning.
    minutes: f64,
    /// Bytes of the workers, all together.
    resident: f64,
    keys: f64,
    /// Bytes of the server.
    memory: f64,
}

/// How something grew in the second half.
#[derive(Debug, Clone, Copy)]
pub struct Flatness {
    name: &'static str,
    mean: f64,
    a_minute: f64,
    a_thousand: f64,
    /// By how much of its mean it grew.
    growth: f64,
    /// By how much it may.
    bound: f64,
}

impl Flatness {
    /// Whether it grew no more than it may.
    pub fn is_flat(&self) -> bool {
        self.growth <= self.bound
    }
}

impl fmt::Display for Flatness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mean, a_minute, a_thousand, growth, bound } = self;
        let (growth, bound) = (100.0 * growth, 100.0 * bound);
        let said = if self.is_flat() { "flat" } else { "GROWS" };
        write!(
            f,
            "{name}: mean {mean:.0}, {a_minute:+.1} a minute, {a_thousand:+.2} per 1,000 invocations; \
             {growth:+.1} % of its mean over the second half, at most {bound:.0} %: {said}"
        )
    }
}

/// What a soak has shown.
#[derive(Debug)]
pub struct Soaked {
    invocations: usize,
    length: Duration,
    flatness: Vec<Flatness>,
    keys_before: u64,
    keys_after: u64,
}

impl Soaked {
    /// Whether nothing grows, and nothing stays.
    pub fn is_well(&self) -> bool {
        self.flatness.iter().all(Flatness::is_flat) && self.is_clean()
    }

    /// Whether the server has as many keys as before.
    pub fn is_clean(&self) -> bool {
        self.keys_after <= self.keys_before + NEW_KEYS
    }

    /// How many invocations there were.
    pub fn invocations(&self) -> usize {
        self.invocations
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invocations, length, keys_before, keys_after, .. } = self;
        writeln!(f, "{invocations} bodies in {length:?}")?;
        self.flatness.iter().try_for_each(|flatness| writeln!(f, "{flatness}"))?;
        write!(f, "{keys_before} keys before, {keys_after} when all was forgotten, at most {NEW_KEYS} more")
    }
}

pub(super) async fn run(plan: Plan) -> Soaked {
    let mut site = Site::new(&plan, SHORT).await;
    (0..plan.workers).for_each(|number| site.start_worker(number));
    tokio::time::sleep(secs(1)).await;
    let keys_before = keys(&site);
    (0..plan.clients).for_each(|number| site.start_client(number));
    let samples = sample(&site, plan.length).await;
    let keys_after = empty(&site, keys_before).await;
    let starts: Vec<Timestamp> =
        site.stage.ledger.notes().iter().filter(|note| note.what == "begin").map(|note| note.at).collect();
    Soaked {
        invocations: starts.len(),
        length: plan.length,
        flatness: judge(&samples, &starts),
        keys_before,
        keys_after,
    }
}

async fn sample(site: &Site, length: Duration) -> Vec<Sample> {
    let (begun, mut samples) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        tokio::time::sleep((length / 120).clamp(millis(250), secs(5))).await;
        let workers = site.workers.iter().filter_map(|seat| resident(seat.process.as_ref()?.id()));
        samples.push(Sample {
            at: SystemClock.now(),
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            resident: workers.sum::<u64>() as f64,
            keys: keys(site) as f64,
            memory: memory(site) as f64,
        });
    }
    samples
}

fn keys(site: &Site) -> u64 {
    site.server.command(&["DBSIZE"]).trim().parse().unwrap_or_default()
}

fn memory(site: &Site) -> u64 {
    let told = site.server.command(&["INFO", "memory"]);
    let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default()
}

/// Stops the load, and tells how many keys there are when nothing more is forgotten.
async fn empty(site: &Site, before: u64) -> u64 {
    site.app.triggers().pause(EACH_SECOND).await.expect("the server runs");
    site.stage.open(client::STOP).expect("the folder is ours");
    let begun = Instant::now();
    while keys(site) > before + NEW_KEYS && begun.elapsed() < PATIENCE {
        tokio::time::sleep(millis(100)).await;
    }
    keys(site)
}

fn judge(samples: &[Sample], starts: &[Timestamp]) -> Vec<Flatness> {
    let half = &samples[samples.len() / 2..];
    let ran = |sample: &Sample| starts.iter().filter(|start| **start <= sample.at).count() as f64 / 1000.0;
    let thousands: Vec<f64> = half.iter().map(ran).collect();
    let flatness = |name, bound, of: fn(&Sample) -> f64| {
        let by_minute: Vec<_> = half.iter().map(|sample| (sample.minutes, of(sample))).collect();
        let by_thousand: Vec<_> = thousands.iter().copied().zip(half.iter().map(of)).collect();
        let mean = half.iter().map(of).sum::<f64>() / half.len().max(1) as f64;
        let a_minute = slope(&by_minute);
        let minutes = half.last().map_or(0.0, |last| last.minutes) - half.first().map_or(0.0, |first| first.minutes);
        let growth = if mean > 0.0 { a_minute * minutes / mean } else { 0.0 };
        Flatness { name, mean, a_minute, a_thousand: slope(&by_thousand), growth, bound }
    };
    // What the server holds follows the pace of the load, which isn't even; what stays for good is seen at the end.
    vec![
        flatness("memory of the workers in bytes", 0.1, |sample| sample.resident),
        flatness("keys of the server", 0.5, |sample| sample.keys),
        flatness("memory of the server in bytes", 0.2, |sample| sample.memory),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(resident: impl Fn(u32) -> f64) -> Vec<Flatness> {
        let sample = |n: u32| Sample {
            at: Timestamp::from_millis(u64::from(n) * 1000),
            minutes: f64::from(n) / 60.0,
            resident: resident(n),
            keys: 100.0 + f64::from(n % 3),
            memory: 5e6,
        };
        let samples: Vec<_> = (0..100).map(sample).collect();
        let starts: Vec<_> = (0..100_000).map(Timestamp::from_millis).collect();
        judge(&samples, &starts)
    }

    #[test]
    fn what_grows_is_told() {
        assert!(judged(|_| 1e8).iter().all(Flatness::is_flat));
        let [resident, keys, memory] = judged(|n| 1e8 + 1e6 * f64::from(n))[..] else { panic!("there are three") };
        assert!(!resident.is_flat() && keys.is_flat() && memory.is_flat(), "{resident}");
        assert!((resident.a_minute - 6e7).abs() < 1e3 && (resident.a_thousand - 1e6).abs() < 1e3, "{resident}");
    }
}
