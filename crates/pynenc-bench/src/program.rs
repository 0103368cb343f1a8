//! Other programs that measure figures and print them as lines of JSON.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pynenc::prelude::*;
use serde::Deserialize;

/// A figure that a program printed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Figure {
    #[serde(rename = "figure")]
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Figure {
    /// Returns whether a higher value is better. It is for rates, and isn't for times, bytes and commands.
    pub(crate) fn higher_is_better(&self) -> bool {
        self.unit.ends_with("/s")
    }
}

/// Runs a program, and reads the figures that it printed. The name is for messages. Returns no figure if the program
/// doesn't know the benchmark, as an older build may not.
pub(crate) fn figures(name: &str, command: &mut Command) -> Result<Vec<Figure>> {
    let output = command.output().map_err(|error| Error::other(format!("can't start {name}: {error}")))?;
    if !output.status.success() {
        let unknown = String::from_utf8_lossy(&output.stderr).contains("unknown benchmark");
        return if unknown { Ok(Vec::new()) } else { Err(failed(name, &output)) };
    }
    let figures = read_figures(&String::from_utf8_lossy(&output.stdout));
    figures.map_err(|line| Error::other(format!("{name} printed a line that isn't a figure: {line}")))
}

/// Reads the lines of JSON among other lines. Fails with a line that isn't a figure.
fn read_figures(text: &str) -> Result<Vec<Figure>, String> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).map_err(|error| format!("{line} ({error})"))).collect()
}

fn failed(name: &str, output: &Output) -> Error {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    Error::other(format!(
        "{name} failed ({}). Run it by itself to see all of its output. Its last lines:\n{last}",
        output.status
    ))
}

/// Builds a package in release mode with `cargo build`, and returns its program. Each checkout builds into its own
/// target folder, even if `CARGO_TARGET_DIR` is set: two checkouts would write their programs into the same file.
pub(crate) fn build(name: &str, folder: &Path, arguments: &[&str]) -> Result<PathBuf> {
    eprintln!("building {name} in {}", folder.display());
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--message-format=json-render-diagnostics"]).args(arguments).current_dir(folder);
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR").stderr(std::process::Stdio::inherit());
    let output = cargo.output().map_err(|error| Error::other(format!("can't start cargo to build {name}: {error}")))?;
    if !output.status.success() {
        let message = format!("can't build {name} in {}. Fix the errors that cargo printed above.", folder.display());
        return Err(Error::other(message));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| Error::other(format!("cargo built no program for {name} in {}", folder.display())))
}

/// Finds the last program in the messages of cargo.
fn executable(messages: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let built = |line| serde_json::from_str::<Message>(line).ok()?.executable;
    messages.lines().filter_map(built).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_lines_of_json() {
        let text = "figure  measured\n\
            drain  18,000.0 calls/s\n\
            {\"figure\":\"drain\",\"backend\":\"redis\",\"value\":18000.5,\"unit\":\"calls/s\",\"target\":45000.0,\"runs\":3}\n\
            {\"figure\":\"latency p50\",\"backend\":\"redis\",\"value\":420,\"unit\":\"µs\",\"target\":null,\"runs\":1}\n";
        let figure = |name: &str, value, unit: &str| Figure { name: name.into(), value, unit: unit.into() };
        let expected = vec![figure("drain", 18000.5, "calls/s"), figure("latency p50", 420.0, "µs")];
        assert_eq!(read_figures(text), Ok(expected));
    }

    #[test]
    fn a_line_that_is_not_a_figure_is_reported() {
        let error = read_figures("{\"figure\":\"drain\"}").unwrap_err();
        assert!(error.starts_with("{\"figure\":\"drain\"} (missing field `value`"), "{error}");
    }

    #[test]
    fn rates_are_better_when_higher() {
        let better = |unit: &str| Figure { name: String::new(), value: 1.0, unit: unit.into() }.higher_is_better();
        assert!(better("calls/s") && better("steps/s"));
        assert!(!better("µs") && !better("commands a second") && !better("bytes"));
    }

    #[test]
    fn the_program_of_a_build_is_found_in_the_messages_of_cargo() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/old/target/release/pynenc-bench\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some("/old/target/release/pynenc-bench".into()));
        assert_eq!(executable("{\"reason\":\"build-finished\"}"), None);
    }

    fn figures_of(script: &str) -> Result<Vec<Figure>> {
        figures("the other program", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_program_that_does_not_know_a_benchmark_gives_no_figure() {
        assert_eq!(figures_of("echo 'unknown benchmark `lifecycle`; known: drain' >&2; exit 2").unwrap(), []);
    }

    #[test]
    fn a_failed_program_is_reported_with_its_last_lines() {
        let message = figures_of("echo no server >&2; exit 3").unwrap_err().to_string();
        assert!(message.contains("the other program failed (exit status: 3)"), "{message}");
        assert!(message.ends_with("no server"), "{message}");
    }
}
