//! Runs a simulation. Its scheduler draws the next step and the faults from a seed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pynenc_core::clock::ManualClock;
use pynenc_core::config::{Config, RunnerConfig};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::{Clock, Timestamp};
use pynenc_engine::task::{States, TaskRegistry};
use pynenc_engine::{Call, Engine, EngineSetup, Error, Parts, Settings, Task};

use super::faults::{Faults, Faulty, Rates};
use super::mutation::Mutation;
use super::oracles::{self, Violation};
use super::process::Process;
use super::tasks::{self, Deadlock, Dropped, Flaky, Leaf, Limited, Numbers, Parent, Single};
use super::world::{Accepted, Report, Stores, World};

const WORKERS: usize = 3;
const CLIENTS: u64 = 2;
/// The time with faults.
const CHAOS: Duration = Duration::from_secs(90);
/// The longest time for everything to finish after the last fault.
const BOUND: Duration = Duration::from_secs(600);
/// A simulation with more steps is stuck.
const MAX_STEPS: u64 = 400_000;

/// Runs the simulation of a seed.
///
/// # Errors
///
/// Returns the first broken promise.
pub fn simulate(
    seed: u64,
    stores: impl FnOnce(ManualClock) -> Stores,
    mutation: Mutation,
) -> Result<Report, Violation> {
    World::new(seed, stores, mutation).run()
}

impl World {
    /// Runs with faults, then without faults until everything has finished, then runs the oracles.
    fn run(mut self) -> Result<Report, Violation> {
        for _ in 0..WORKERS {
            let worker = self.new_worker();
            self.processes.push(worker);
        }
        for number in 0..CLIENTS {
            let client = self.new_client(number);
            self.processes.push(client);
        }
        let start = self.clock.now();
        self.run_until(start + CHAOS, true)?;
        self.is_calm.store(true, Ordering::Relaxed);
        self.run_until_all_finished()?;
        oracles::check(&self)?;
        self.pass_retentions()?;
        oracles::check_nothing_is_left(&self)?;
        Ok(self.report)
    }

    fn run_until_all_finished(&mut self) -> Result<(), Violation> {
        let deadline = self.clock.now() + BOUND;
        while !oracles::all_finished(self) {
            if self.clock.now() >= deadline {
                return Err(oracles::unfinished(self));
            }
            let next = self.clock.now() + Duration::from_secs(5);
            self.run_until(next, false)?;
        }
        Ok(())
    }

    /// Waits until every retention is over.
    fn pass_retentions(&mut self) -> Result<(), Violation> {
        for _ in 0..10 {
            let next = self.clock.now() + Duration::from_secs(24 * 3600);
            // Simulating every heartbeat of ten days would take too long. Time jumps a day and then runs for a minute.
            self.clock.set(next);
            self.run_until(next + Duration::from_secs(60), false)?;
        }
        Ok(())
    }

    fn run_until(&mut self, end: Timestamp, is_chaotic: bool) -> Result<(), Violation> {
        loop {
            self.report.steps += 1;
            if self.report.steps > MAX_STEPS {
                return Err(oracles::unfinished(self));
            }
            if is_chaotic {
                self.inject_fault();
            }
            let now = self.clock.now();
            let ready: Vec<_> =
                (0..self.processes.len()).filter(|index| self.processes[*index].is_ready(now)).collect();
            if let Some(&chosen) = ready.get(self.rng.usize(0..ready.len().max(1))) {
                self.processes[chosen].poll_one(&mut self.rng);
                oracles::check_step(self)?;
            } else if !self.pass_time(end) {
                return Ok(());
            }
        }
    }

    /// Moves time to the next timer. Returns false if `end` comes first.
    fn pass_time(&mut self, end: Timestamp) -> bool {
        let timers = self.processes.iter().filter_map(|process| process.paused_until).chain(self.clock.next_wake());
        match timers.min() {
            Some(timer) if timer < end => {
                self.clock.set(timer);
                true
            }
            _ => {
                self.clock.set(end);
                false
            }
        }
    }

    /// Kills or pauses a worker at random.
    fn inject_fault(&mut self) {
        let index = self.rng.usize(0..WORKERS);
        match self.rng.u32(0..2000) {
            0..3 => {
                self.processes[index] = self.new_worker();
                self.report.crashes += 1;
            }
            3 => {
                let pause = Duration::from_secs(self.rng.u64(1..60));
                self.processes[index].paused_until = Some(self.clock.now() + pause);
                self.report.stalls += 1;
            }
            _ => {}
        }
    }

    fn new_worker(&mut self) -> Process {
        let engine = self.new_engine();
        Process::worker(&engine)
    }

    fn new_client(&mut self, number: u64) -> Process {
        let process = Process::default();
        let engine = self.new_engine();
        process.spawn(client(engine, fastrand::Rng::with_seed(self.rng.u64(..)), self.accepted.clone(), number));
        process
    }

    fn new_engine(&mut self) -> Engine {
        let rates = Rates { refused: 10, reply_lost: 20, hint_dropped: 60, hint_repeated: 60 };
        let faults = Faults::new(self.rng.u64(..), rates, self.mutation, self.is_calm.clone());
        let parts = Parts {
            broker: Arc::new(Faulty { inner: self.stores.broker.clone(), faults: faults.clone() }),
            orchestrator: Arc::new(Faulty { inner: self.stores.orchestrator.clone(), faults: faults.clone() }),
            state: Arc::new(Faulty { inner: self.stores.state.clone(), faults }),
            triggers: self.stores.triggers.clone(),
            arg_cache: None,
            serializer: Arc::new(JsonSerializer),
            clock: Arc::new(self.clock.clone()),
        };
        let runner = RunnerConfig { concurrency: 4, poison_losses: self.poison_losses, ..RunnerConfig::default() };
        let mut states = States::default();
        states.insert(self.ledger.clone());
        let config =
            Config::loader().without_file().environment([]).load().expect("the defaults are a valid configuration");
        let setup = EngineSetup {
            parts,
            settings: Settings { runner, ..Settings::default() },
            tasks: TaskRegistry::new(false, &tasks::all(), &config).expect("the task names are unique"),
            states,
            extensions: Vec::new(),
            readers: Vec::new(),
        };
        Engine::new(setup).expect("the tasks' states are present")
    }
}

/// Submits calls of every kind, retries each until it is accepted, and cancels some.
async fn client(engine: Engine, mut rng: fastrand::Rng, accepted: Arc<Mutex<Vec<Accepted>>>, number: u64) {
    for call in 0..12 {
        let numbers = Numbers { key: rng.u64(0..3), n: rng.u64(0..5) };
        let name = format!("{number}-{call}");
        let id = match rng.u8(0..9) {
            0 | 1 => submit::<Leaf>(&engine, numbers, &name).await,
            2 => submit::<Flaky>(&engine, numbers, &name).await,
            3 => submit::<Parent>(&engine, numbers, &name).await,
            4 | 5 => submit::<Limited>(&engine, numbers, &name).await,
            6 => submit::<Dropped>(&engine, numbers, &name).await,
            7 => submit::<Deadlock>(&engine, numbers, &name).await,
            _ => submit::<Single>(&engine, numbers, &name).await,
        };
        accepted.lock().unwrap_or_else(PoisonError::into_inner).push(Accepted { id, n: numbers.n });
        if rng.u8(0..10) == 0 {
            while let Err(Error::Unavailable { .. }) = engine.cancel(id).await {}
        }
        engine.parts().clock.sleep(Duration::from_millis(rng.u64(0..6000))).await;
    }
}

async fn submit<T: Task<Arguments = Numbers>>(
    engine: &Engine,
    numbers: Numbers,
    name: &str,
) -> pynenc_core::InvocationId {
    let delay = Duration::from_secs(if numbers.n == 4 { 3 } else { 0 });
    loop {
        match engine.submit(Call::<T>::new(numbers).delay(delay).idempotency_key(name)).await {
            Ok(invocation) => return invocation.id(),
            Err(_) => engine.parts().clock.sleep(Duration::from_millis(100)).await,
        }
    }
}
