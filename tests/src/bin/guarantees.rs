//! Reports whether the tests of each promise passed: `guarantees target/nextest/default/junit.xml`. Exits with 1 if a
//! named test didn't pass.

use std::process::ExitCode;

use pynenc_tests::guarantees::{Guarantee, Results, report};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else { return failure("usage: guarantees JUNIT_XML") };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return failure(&format!("can't read {path}: {error}. Run all tests with cargo-nextest first.")),
    };
    let results = match Results::read(&text) {
        Ok(results) => results,
        Err(error) => return failure(&format!("{path} isn't a JUnit report: {error}")),
    };
    let (table, unproved) = report(&Guarantee::all(), &results);
    print!("{table}");
    if unproved > 0 { failure(&format!("{unproved} cells of the table aren't proved")) } else { ExitCode::SUCCESS }
}

fn failure(text: &str) -> ExitCode {
    eprintln!("guarantees: {text}");
    ExitCode::FAILURE
}
