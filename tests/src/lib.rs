//! What the tests in the folder beside this one share with the programs that they start. The code of the documents is
//! compiled and run here.

#[cfg(all(feature = "chaos", unix))]
pub mod chaos;
pub mod guarantees;
pub mod turnstile;
pub mod work;

/// Makes examples of the documentation of a page's code.
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
    Testing: "../../docs/src/testing.md",
}
