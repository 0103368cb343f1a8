//! Code that the tests share with the worker programs that they start. The documents' examples are compiled and run
//! here.

pub mod browser;
#[cfg(all(feature = "chaos", unix))]
pub mod chaos;
pub mod concurrency_monitor;
pub mod dashboard;
pub mod guarantees;
pub mod http;
pub mod variables;
pub mod worker_tasks;

/// Turns the code blocks of pages into documentation tests.
macro_rules! pages {
    ($($name:ident: $path:literal),+ $(,)?) => {
        $(
            #[doc = include_str!($path)]
            #[cfg(doctest)]
            pub struct $name;
        )+
    };
}

pages! {
    Readme: "../../README.md",
    Contributing: "../../CONTRIBUTING.md",
    GettingStarted: "../../docs/src/getting-started.md",
    Tasks: "../../docs/src/tasks.md",
    Configuration: "../../docs/src/configuration.md",
    CommandLine: "../../docs/src/command-line.md",
    Components: "../../docs/src/components.md",
    Logging: "../../docs/src/logging.md",
    Monitoring: "../../docs/src/monitoring.md",
    Testing: "../../docs/src/testing.md",
    WebMonitor: "../../docs/src/web-monitor.md",
}
