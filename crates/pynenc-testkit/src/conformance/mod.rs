//! Conformance suites of the component traits: one trial for each line of a trait's `# Behavior` lists.
//!
//! Each suite is one test. It runs all of its trials, each against a fresh component, and then names the failed ones. For
//! components that take a clock each trait has a macro, such as [`broker_conformance!`]. A store with a clock of its own
//! gives the suite's `check` function a [`Harness`] for each trial.
//!
//! [`broker_conformance!`]: crate::broker_conformance

pub mod arg_cache;
pub mod broker;
mod harness;
pub mod lane;
pub mod orchestrator;
pub mod sample;
pub mod serializer;
pub mod state_backend;
pub mod trigger_store;

use std::any::Any;
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use harness::Harness;

/// The time limit of a trial by the machine's clock. Trials use virtual time, so one that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of a trait's contract, with the function that tries it.
pub struct Trial<H> {
    /// The line.
    pub behavior: &'static str,
    run: fn(H) -> BoxFuture<'static, ()>,
}

impl<H> fmt::Debug for Trial<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trial").field(&self.behavior).finish()
    }
}

/// Runs every trial against a fresh component from `make`.
///
/// # Panics
///
/// If a trial fails. The message names each failed trial.
pub fn run<H: Send + 'static>(trials: &[Trial<H>], make: impl AsyncFn() -> H) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let failures = runtime.expect("a test may start threads").block_on(failures(trials, make));
    let (failed, all) = (failures.len(), trials.len());
    assert!(failures.is_empty(), "{failed} of {all} trials failed:\n{}", failures.join("\n"));
}

async fn failures<H: Send + 'static>(trials: &[Trial<H>], make: impl AsyncFn() -> H) -> Vec<String> {
    let mut failures = Vec::new();
    for trial in trials {
        let run = tokio::time::timeout(PATIENCE, (trial.run)(make().await));
        let failure = match tokio::spawn(run).await {
            Ok(Ok(())) => continue,
            Ok(Err(_)) => "timed out".to_owned(),
            Err(error) => error.try_into_panic().map_or_else(|error| error.to_string(), |panic| message(&*panic)),
        };
        failures.push(format!("- {}: {failure}", trial.behavior));
    }
    failures
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}

/// Defines the trials of a module: the lines of the contract, each with its function.
macro_rules! trials {
    ($visibility:vis $harness:ty: $($behavior:literal => $trial:ident,)+) => {
        /// The trials, in the order of the trait's documentation.
        $visibility fn trials() -> Vec<$crate::conformance::Trial<$harness>> {
            vec![$($crate::conformance::Trial { behavior: $behavior, run: |harness| Box::pin($trial(harness)) },)+]
        }
    };
}

/// Defines the functions that run a suite, and its macro.
macro_rules! suite {
    ($dollar:tt $component:ident, $module:ident, $macro_name:ident) => {
        /// Runs the suite on components that take a clock.
        pub fn check_with_clock<C: pynenc_core::$component>(
            make: impl AsyncFn(std::sync::Arc<dyn pynenc_core::Clock>) -> C,
        ) {
            check(async || {
                let clock = pynenc_core::clock::ManualClock::default();
                let component: std::sync::Arc<dyn pynenc_core::$component> =
                    std::sync::Arc::new(make(std::sync::Arc::new(clock.clone())).await);
                $crate::conformance::Harness::new(component, std::sync::Arc::new(clock))
            });
        }

        /// Runs the suite, with a fresh harness from `make` for each trial.
        pub fn check(make: impl AsyncFn() -> $crate::conformance::Harness<dyn pynenc_core::$component>) {
            $crate::conformance::run(&trials(), make);
        }

        /// Defines a test that runs the suite. Takes an async closure from a clock to a component.
        #[macro_export]
        macro_rules! $macro_name {
                                            ($dollar make:expr) => {
                                                #[test]
                                                fn $macro_name() {
                                                    $crate::conformance::$module::check_with_clock($dollar make);
                                                }
                                            };
                                        }
    };
}

use {suite, trials};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The source of a file of the core, or the sources of all files of a folder.
    fn source(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pynenc-core/src").join(name);
        let read = |path| std::fs::read_to_string(path).expect("the core's sources are beside this crate");
        match std::fs::read_dir(&path) {
            Ok(files) => files.map(|file| read(file.expect("a folder can be listed").path())).collect(),
            Err(_) => read(path),
        }
    }

    /// The lines of every `# Behavior` list in a source. A line may continue on the next line of the comment.
    fn promised(source: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut is_listed = false;
        for line in source.lines().map(str::trim) {
            let Some(text) = line.strip_prefix("///") else {
                is_listed = false;
                continue;
            };
            match text.trim() {
                "# Behavior" => is_listed = true,
                heading if heading.starts_with('#') => is_listed = false,
                bullet if is_listed && bullet.starts_with("- ") => lines.push(bullet[2..].to_owned()),
                "" => {}
                rest if is_listed => lines.last_mut().expect("a list begins with a bullet").extend([" ", rest]),
                _ => {}
            }
        }
        lines
    }

    fn check<H>(file: &str, trials: &[Trial<H>]) {
        let promised = promised(&source(file));
        let promised: BTreeSet<&str> = promised.iter().map(String::as_str).collect();
        let tried: BTreeSet<&str> = trials.iter().map(|trial| trial.behavior).collect();
        assert_eq!(tried.len(), trials.len(), "{file}: a trial is listed twice");
        let untried: Vec<_> = promised.difference(&tried).collect();
        let unpromised: Vec<_> = tried.difference(&promised).collect();
        assert!(untried.is_empty(), "{file}: promised, but not tried: {untried:#?}");
        assert!(unpromised.is_empty(), "{file}: tried, but not promised: {unpromised:#?}");
    }

    #[test]
    fn every_promise_has_a_trial_and_every_trial_has_a_promise() {
        check("arg_cache.rs", &arg_cache::trials());
        check("broker.rs", &broker::trials());
        check("lane.rs", &lane::trials());
        check("orchestrator", &orchestrator::trials());
        check("serializer.rs", &serializer::trials());
        check("state_backend.rs", &state_backend::trials());
        check("trigger_store.rs", &trigger_store::trials());
    }

    #[test]
    fn a_failed_trial_is_named() {
        let trials = [
            Trial { behavior: "good", run: |()| Box::pin(async {}) },
            Trial { behavior: "bad", run: |()| Box::pin(async { panic!("no {}", 7) }) },
        ];
        let panic = std::panic::catch_unwind(|| run(&trials, async || ())).unwrap_err();
        assert_eq!(message(&*panic), "1 of 2 trials failed:\n- bad: no 7");
    }
}
