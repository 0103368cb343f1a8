//! Tells of each promise whether the tests that hold it have passed: `guarantees target/nextest/default/junit.xml`.
//! Ends with 1 where a test that is named for one didn't.

use std::process::ExitCode;

use pynenc_tests::guarantees::{Guarantee, Results, report};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else { return fault("name the file with the results of a run") };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return fault(&format!("{path}: {error}; run all tests first, with cargo-nextest")),
    };
    let results = match Results::read(&text) {
        Ok(results) => results,
        Err(error) => return fault(&format!("{path} is no report of tests: {error}")),
    };
    let (table, faults) = report(&Guarantee::all(), &results);
    print!("{table}");
    if faults > 0 { fault(&format!("{faults} cells of the table aren't proved")) } else { ExitCode::SUCCESS }
}

fn fault(text: &str) -> ExitCode {
    eprintln!("guarantees: {text}");
    ExitCode::FAILURE
}
