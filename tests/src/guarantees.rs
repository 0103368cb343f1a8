//! The promises, the tests that prove each on each backend, and their results in a test run.

use std::fmt::{self, Write};

use serde::Deserialize;

/// A backend of the promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The stores in the memory of a process.
    Memory,
    /// The stores on a Redis server.
    Redis,
    /// The stores in a SQLite file.
    Sqlite,
}

impl Backend {
    /// The backends, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Redis, Self::Sqlite];

    /// The name of the test module for a backend, where the same tests run on each.
    const fn module(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
        }
    }
}

/// A promise and its tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// The promise's number, such as `G1`.
    pub name: String,
    /// The promise.
    pub promise: String,
    memory: Vec<Test>,
    redis: Vec<Test>,
    sqlite: Vec<Test>,
}

impl Guarantee {
    /// Reads every promise.
    ///
    /// # Panics
    ///
    /// Panics if `guarantees.toml` is malformed.
    pub fn all() -> Vec<Self> {
        #[derive(Deserialize)]
        struct File {
            guarantee: Vec<Guarantee>,
        }
        let file: File = toml::from_str(include_str!("../guarantees.toml")).expect("guarantees.toml is well-formed");
        file.guarantee
    }

    /// The tests that prove the promise on a backend.
    pub fn tests(&self, backend: Backend) -> &[Test] {
        match backend {
            Backend::Memory => &self.memory,
            Backend::Redis => &self.redis,
            Backend::Sqlite => &self.sqlite,
        }
    }
}

/// A test, written as `path/of/its/file.rs::name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Test(String);

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Test {
    /// The test's file and name.
    ///
    /// # Panics
    ///
    /// Panics if the test isn't written as `path::name`.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once("::").expect("a test is written as path::name")
    }

    /// The test binary, as the test runner names it, and the modules down to the test's file.
    fn binary(&self) -> (String, String) {
        let path = self.parts().0.trim_end_matches(".rs");
        let (package, path) = match path.strip_prefix("crates/").and_then(|rest| rest.split_once('/')) {
            Some(parts) => parts,
            None => ("pynenc-tests", path.strip_prefix("tests/").unwrap_or(path)),
        };
        match path.strip_prefix("tests/") {
            Some(path) => {
                let (root, modules) = path.split_once('/').unwrap_or((path, ""));
                (format!("{package}::{root}"), modules_of(modules))
            }
            None => (package.to_owned(), modules_of(path.trim_start_matches("src/"))),
        }
    }
}

fn modules_of(path: &str) -> String {
    path.trim_end_matches("main").trim_end_matches("lib").trim_end_matches("mod").trim_matches('/').replace('/', "::")
}

/// The results of a test run.
#[derive(Debug, Default)]
pub struct Results(Vec<Case>);

#[derive(Debug)]
struct Case {
    binary: String,
    name: String,
    passed: bool,
}

impl Case {
    fn is(&self, test: &Test, backend: Backend) -> bool {
        let (binary, modules) = test.binary();
        let mut segments: Vec<_> = self.name.split("::").collect();
        let is_named = segments.pop() == Some(test.parts().1);
        let is_there = self.binary == binary && (modules.is_empty() || self.name.starts_with(&format!("{modules}::")));
        let elsewhere = Backend::ALL.iter().any(|other| *other != backend && segments.contains(&other.module()));
        is_named && is_there && !elsewhere
    }
}

/// The result of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The test passed.
    Passed,
    /// The test ran and didn't pass.
    Failed,
    /// The test wasn't part of the run.
    NotRun,
}

impl Results {
    /// Reads the test runner's `JUnit` report.
    ///
    /// # Errors
    ///
    /// The text isn't such a report.
    pub fn read(report: &str) -> Result<Self, roxmltree::Error> {
        let report = roxmltree::Document::parse(report)?;
        let cases = report.descendants().filter(|node| node.has_tag_name("testcase"));
        Ok(Self(cases.filter_map(case).collect()))
    }

    /// The result of a test on a backend. If several cases have its name, all of them must pass.
    pub fn of(&self, test: &Test, backend: Backend) -> Outcome {
        let cases: Vec<_> = self.0.iter().filter(|case| case.is(test, backend)).collect();
        match cases.as_slice() {
            [] => Outcome::NotRun,
            cases if cases.iter().all(|case| case.passed) => Outcome::Passed,
            _ => Outcome::Failed,
        }
    }
}

/// Reads a test case that was run.
fn case(node: roxmltree::Node<'_, '_>) -> Option<Case> {
    let has = |name: &str| node.children().any(|child| child.has_tag_name(name));
    let binary = node.parent_element()?.attribute("name")?.to_owned();
    let name = node.attribute("name")?.to_owned();
    (!has("skipped")).then(|| Case { binary, name, passed: !has("failure") && !has("error") })
}

/// Formats every cell with its result, and counts the cells with a test that didn't pass.
pub fn report(guarantees: &[Guarantee], results: &Results) -> (String, usize) {
    let (mut text, mut unproved) = (String::new(), 0);
    for guarantee in guarantees {
        for backend in Backend::ALL {
            let tests = guarantee.tests(backend);
            let missing: Vec<_> = tests.iter().filter(|test| results.of(test, backend) != Outcome::Passed).collect();
            let result = match (tests.len(), missing.len()) {
                (0, _) => "not proved: no test is named".to_owned(),
                (count, 0) => format!("proved by {count}"),
                (count, missing) => format!("not proved: {missing} of {count} didn't pass"),
            };
            let _ = writeln!(text, "{:<4} {:<7} {result}", guarantee.name, backend.module());
            for test in &missing {
                let _ = writeln!(text, "     {:?}: {test}", results.of(test, backend));
            }
            unproved += usize::from(!missing.is_empty());
        }
    }
    (text, unproved)
}

/// The page of the book.
pub fn page() -> String {
    let mut page = String::from(
        "<!-- Made from tests/guarantees.toml by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Guarantees\n\n\
         Every promise, and the tests that prove it on each backend. The stores in memory are lost when their process exits,\n\
         so there the promises hold while the process lives, and a *worker* is one of its runners. Over Redis, workers are\n\
         processes that the tests kill, pause and cut off from the server. Over SQLite, they are processes that the tests\n\
         kill and pause, or that end at each of their commits.\n\n\
         `simulation.rs` runs random simulations from fixed seeds. In these, workers die between any two steps or pause for\n\
         longer than their leases, stores refuse calls or lose replies, and broker messages are lost or repeated.\n\
         `conformance.rs` checks a component against each line of its trait's contract.\n\n\
         All tests of a cell together prove it. A cell without tests reads \"not proved\". After a run of all tests,\n\
         `scripts/test` looks up each of them in the results, and fails if one didn't pass. `scripts/guarantees` repeats\n\
         that check.\n\n\
         | | promise | in memory | over Redis | over SQLite |\n|---|---|---|---|---|\n",
    );
    for guarantee in Guarantee::all() {
        let cells = Backend::ALL.map(|backend| cell(guarantee.tests(backend))).join(" | ");
        let _ = writeln!(page, "| {} | {} | {cells} |", guarantee.name, guarantee.promise);
    }
    page += "\nNot promised:\n\n\
             - that a side effect happens only once\n\
             - an order in which invocations run; priorities and queue positions decide only who is claimed first\n\
             - more durability than the store has\n\
             - that a plain function can be stopped, because its thread can't be\n\
             - that a task function gets through an outage: a call that it submits or awaits while the store is away, or \
             full, fails\n  with `Error::Unavailable`, and without a retry left its invocation fails (operations of a \
             workflow wait for the store)\n";
    page
}

fn cell(tests: &[Test]) -> String {
    if tests.is_empty() {
        return "not proved".to_owned();
    }
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites>
        <testsuite name="pynenc-tests::end_to_end">
            <testcase name="failing::memory::finishes"/>
            <testcase name="failing::redis::finishes"><failure type="test failure"/></testcase>
            <testcase name="waiting::finishes"><failure/></testcase>
        </testsuite>
        <testsuite name="pynenc-core"><testcase name="status::tests::walks"/></testsuite>
        <testsuite name="pynenc-mem::conformance"><testcase name="broker"/><testcase name="state"><skipped/></testcase></testsuite>
    </testsuites>"#;

    fn check(test: &str, backend: Backend, expected: Outcome) {
        let results = Results::read(REPORT).expect("the report is well-formed");
        assert_eq!(results.of(&Test(test.to_owned()), backend), expected, "{test} in {backend:?}");
    }

    #[test]
    fn a_test_is_found_by_its_file_its_name_and_its_place() {
        check("tests/tests/end_to_end/failing.rs::finishes", Backend::Memory, Outcome::Passed);
        check("tests/tests/end_to_end/failing.rs::finishes", Backend::Redis, Outcome::Failed);
        check("tests/tests/end_to_end/waiting.rs::finishes", Backend::Memory, Outcome::Failed);
        check("tests/tests/end_to_end/calling.rs::finishes", Backend::Memory, Outcome::NotRun);
        check("tests/tests/end_to_end.rs::finishes", Backend::Memory, Outcome::Failed);
        check("crates/pynenc-core/src/status.rs::walks", Backend::Redis, Outcome::Passed);
        check("crates/pynenc-core/src/status.rs::alks", Backend::Redis, Outcome::NotRun);
        check("crates/pynenc-mem/tests/conformance.rs::broker", Backend::Memory, Outcome::Passed);
        check("crates/pynenc-mem/tests/conformance.rs::state", Backend::Memory, Outcome::NotRun);
    }

    #[test]
    fn a_cell_is_proved_by_all_of_its_tests_together() {
        let tests = |names: &[&str]| names.iter().map(|name| Test((*name).to_owned())).collect::<Vec<_>>();
        let named = tests(&["tests/tests/end_to_end/failing.rs::finishes", "crates/pynenc-core/src/status.rs::walks"]);
        let guarantee = |name: &str, tests: Vec<Test>| Guarantee {
            name: name.into(),
            promise: "p".into(),
            memory: tests.clone(),
            sqlite: tests.clone(),
            redis: tests,
        };
        let (both, none) = (guarantee("G1", named), guarantee("G2", Vec::new()));
        let (text, unproved) = report(&[both, none], &Results::read(REPORT).expect("the report is well-formed"));
        assert_eq!(unproved, 2, "{text}");
        assert!(
            text.contains("G1   memory  proved by 2") && text.contains("G1   redis   not proved: 1 of 2"),
            "{text}"
        );
        assert!(text.contains("Failed: tests/tests/end_to_end/failing.rs::finishes"), "{text}");
        assert_eq!(text.matches("no test is named").count(), 3, "{text}");
    }
}
