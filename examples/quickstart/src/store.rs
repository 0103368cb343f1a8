//! The choice of the store: memory, or a SQLite file.

use std::ffi::OsString;
use std::path::PathBuf;

use pynenc::{Pynenc, PynencBuilder};

/// The exit code of a program that doesn't understand its arguments.
const USAGE: i32 = 2;

// ANCHOR: chosen
/// Chooses the store by the arguments of the program. Ends the program if it can't.
pub(crate) fn chosen() -> PynencBuilder {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match file(&arguments, cfg!(feature = "sqlite")) {
        Ok(None) => Pynenc::builder(),
        // A killed program still owns the invocations that it ran. The next run gets them when the lease is over: after
        // 2 seconds here, after 15 by default.
        Ok(Some(file)) => {
            Pynenc::builder().sqlite(file).set("runner.lease", "2s").set("runner.heartbeat_interval", "500ms")
        }
        Err(message) => {
            eprintln!("quickstart: {message}");
            std::process::exit(USAGE)
        }
    }
}
// ANCHOR_END: chosen

/// The file of `--store`.
fn file(arguments: &[OsString], has_sqlite: bool) -> Result<Option<PathBuf>, String> {
    match arguments {
        [] => Ok(None),
        [option, file] if option == "--store" && has_sqlite => Ok(Some(file.into())),
        [option, file] if option == "--store" => {
            let command = "cargo run -p quickstart --features sqlite -- --store";
            Err(format!("`--store` needs the feature `sqlite`. Use this command:\n    {command} {}", file.display()))
        }
        [option] if option == "--store" => Err("`--store` needs the path of a file, such as `--store jobs.db`".into()),
        [first, ..] => {
            let extra = if first == "--store" { &arguments[2] } else { first };
            Err(format!("unknown argument `{}`. Usage: quickstart [--store FILE]", extra.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], has_sqlite: bool) -> Result<Option<PathBuf>, String> {
        file(&arguments.iter().map(OsString::from).collect::<Vec<_>>(), has_sqlite)
    }

    #[test]
    fn memory_is_the_default_and_a_file_is_chosen_by_its_path() {
        assert_eq!(check(&[], false), Ok(None));
        assert_eq!(check(&["--store", "jobs.db"], true), Ok(Some("jobs.db".into())));
    }

    #[test]
    fn a_program_without_sqlite_says_which_command_has_it() {
        let message = check(&["--store", "jobs.db"], false).unwrap_err();
        assert!(message.ends_with("cargo run -p quickstart --features sqlite -- --store jobs.db"), "{message}");
    }

    #[test]
    fn unknown_and_missing_arguments_are_refused_by_name() {
        for (arguments, part) in [
            (&["--stor", "jobs.db"][..], "unknown argument `--stor`"),
            (&["jobs.db"], "unknown argument `jobs.db`"),
            (&["--store", "jobs.db", "--fast"], "unknown argument `--fast`"),
            (&["--store"], "needs the path of a file"),
        ] {
            let message = check(arguments, true).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
