//! What is promised, the tests that hold it in each place, and what came of them in a run.

use std::fmt::{self, Write};

use serde::Deserialize;

/// Where a promise holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The stores in the memory of a process.
    Memory,
    /// The stores on a server.
    Redis,
}

impl Place {
    /// Both, in the order of the table.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Redis];

    /// The name of the module in which the tests of a place stand, where the same ones run in both.
    const fn module(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// A promise and what holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// Its number, such as `G1`.
    pub name: String,
    /// What is promised.
    pub promise: String,
    memory: Vec<Test>,
    redis: Vec<Test>,
}

impl Guarantee {
    /// All of them.
    ///
    /// # Panics
    ///
    /// `guarantees.toml` isn't as it should be.
    pub fn all() -> Vec<Self> {
        #[derive(Deserialize)]
        struct File {
            guarantee: Vec<Guarantee>,
        }
        let file: File = toml::from_str(include_str!("../guarantees.toml")).expect("the file is well-formed");
        file.guarantee
    }

    /// The tests that hold it in a place.
    pub fn tests(&self, place: Place) -> &[Test] {
        match place {
            Place::Memory => &self.memory,
            Place::Redis => &self.redis,
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
    /// The file and the name.
    ///
    /// # Panics
    ///
    /// It isn't written as a test is.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once("::").expect("a test is written as path::name")
    }

    /// The program that has the test, as the test runner names it, and the modules down to the test's file.
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

/// What came of a run of the tests.
#[derive(Debug, Default)]
pub struct Results(Vec<Case>);

#[derive(Debug)]
struct Case {
    binary: String,
    name: String,
    passed: bool,
}

impl Case {
    fn is(&self, test: &Test, place: Place) -> bool {
        let (binary, modules) = test.binary();
        let mut segments: Vec<_> = self.name.split("::").collect();
        let is_named = segments.pop() == Some(test.parts().1);
        let is_there = self.binary == binary && (modules.is_empty() || self.name.starts_with(&format!("{modules}::")));
        let elsewhere = Place::ALL.iter().any(|other| *other != place && segments.contains(&other.module()));
        is_named && is_there && !elsewhere
    }
}

/// What came of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It ran and didn't pass.
    Failed,
    /// The run didn't have it.
    NotRun,
}

impl Results {
    /// Reads what the test runner wrote, in the form of `JUnit`.
    ///
    /// # Errors
    ///
    /// The text isn't such a report.
    pub fn read(report: &str) -> Result<Self, roxmltree::Error> {
        let report = roxmltree::Document::parse(report)?;
        let cases = report.descendants().filter(|node| node.has_tag_name("testcase"));
        Ok(Self(cases.filter_map(case).collect()))
    }

    /// What came of a test in a place; of all of them, where several cases have its name.
    pub fn of(&self, test: &Test, place: Place) -> Outcome {
        let cases: Vec<_> = self.0.iter().filter(|case| case.is(test, place)).collect();
        match cases.as_slice() {
            [] => Outcome::NotRun,
            cases if cases.iter().all(|case| case.passed) => Outcome::Passed,
            _ => Outcome::Failed,
        }
    }
}

/// A case that was run.
fn case(node: roxmltree::Node<'_, '_>) -> Option<Case> {
    let has = |name: &str| node.children().any(|child| child.has_tag_name(name));
    let binary = node.parent_element()?.attribute("name")?.to_owned();
    let name = node.attribute("name")?.to_owned();
    (!has("skipped")).then(|| Case { binary, name, passed: !has("failure") && !has("error") })
}

/// Every cell with what came of it, and the number of those that tests are named for and that aren't proved.
pub fn report(guarantees: &[Guarantee], results: &Results) -> (String, usize) {
    let (mut text, mut faults) = (String::new(), 0);
    for guarantee in guarantees {
        for place in Place::ALL {
            let tests = guarantee.tests(place);
            let missing: Vec<_> = tests.iter().filter(|test| results.of(test, place) != Outcome::Passed).collect();
            let said = match (tests.len(), missing.len()) {
                (0, _) => "not proved: no test is named".to_owned(),
                (count, 0) => format!("proved by {count}"),
                (count, missing) => format!("not proved: {missing} of {count} didn't pass"),
            };
            let _ = writeln!(text, "{:<4} {:<7} {said}", guarantee.name, place.module());
            for test in &missing {
                let _ = writeln!(text, "     {:?}: {test}", results.of(test, place));
            }
            faults += usize::from(!missing.is_empty());
        }
    }
    (text, faults)
}

/// The page of the book.
pub fn page() -> String {
    let mut page = String::from(
        "<!-- Made from tests/guarantees.toml by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Guarantees\n\n\
         What is promised, and the tests that hold it in each place. What a process keeps in memory ends with it, so there\n\
         none of this is more durable than the process, and a *worker* is one of its runners. Over Redis, workers are\n\
         processes that are killed, stopped and cut off.\n\n\
         `simulation.rs` draws worlds from seeds, in which workers die between any two steps, stall past their leases,\n\
         calls are refused or lose their reply, and hints are dropped and repeated. `conformance.rs` holds a component to\n\
         each line of its trait's contract.\n\n\
         A cell is proved by all of its tests together; one without tests reads \"not proved\". After a run of all tests\n\
         `scripts/test` looks each of them up in the results (`scripts/guarantees` does it again), and fails if one that\n\
         is named here didn't pass.\n\n\
         | | promise | in memory | over Redis |\n|---|---|---|---|\n",
    );
    for guarantee in Guarantee::all() {
        let [memory, redis] = Place::ALL.map(|place| cell(guarantee.tests(place)));
        let _ = writeln!(page, "| {} | {} | {memory} | {redis} |", guarantee.name, guarantee.promise);
    }
    page += "\nNot promised: that a side effect happens only once, more durability than the store has, and that a thread \
             which runs a\nplain function can be stopped.\n";
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
            <testcase name="failing::memory::ends"/>
            <testcase name="failing::redis::ends"><failure type="test failure"/></testcase>
            <testcase name="waiting::ends"><failure/></testcase>
        </testsuite>
        <testsuite name="pynenc-core"><testcase name="status::tests::walks"/></testsuite>
        <testsuite name="pynenc-mem::conformance"><testcase name="broker"/><testcase name="state"><skipped/></testcase></testsuite>
    </testsuites>"#;

    fn check(test: &str, place: Place, expected: Outcome) {
        let results = Results::read(REPORT).expect("it is well-formed");
        assert_eq!(results.of(&Test(test.to_owned()), place), expected, "{test} in {place:?}");
    }

    #[test]
    fn a_test_is_found_by_its_file_its_name_and_its_place() {
        check("tests/tests/end_to_end/failing.rs::ends", Place::Memory, Outcome::Passed);
        check("tests/tests/end_to_end/failing.rs::ends", Place::Redis, Outcome::Failed);
        check("tests/tests/end_to_end/waiting.rs::ends", Place::Memory, Outcome::Failed);
        check("tests/tests/end_to_end/calling.rs::ends", Place::Memory, Outcome::NotRun);
        check("tests/tests/end_to_end.rs::ends", Place::Memory, Outcome::Failed);
        check("crates/pynenc-core/src/status.rs::walks", Place::Redis, Outcome::Passed);
        check("crates/pynenc-core/src/status.rs::alks", Place::Redis, Outcome::NotRun);
        check("crates/pynenc-mem/tests/conformance.rs::broker", Place::Memory, Outcome::Passed);
        check("crates/pynenc-mem/tests/conformance.rs::state", Place::Memory, Outcome::NotRun);
    }

    #[test]
    fn a_cell_is_proved_by_all_of_its_tests_together() {
        let tests = |names: &[&str]| names.iter().map(|name| Test((*name).to_owned())).collect::<Vec<_>>();
        let named = tests(&["tests/tests/end_to_end/failing.rs::ends", "crates/pynenc-core/src/status.rs::walks"]);
        let both = Guarantee { name: "G1".into(), promise: "p".into(), memory: named.clone(), redis: named };
        let none = Guarantee { name: "G2".into(), promise: "p".into(), memory: Vec::new(), redis: Vec::new() };
        let (text, faults) = report(&[both, none], &Results::read(REPORT).expect("it is well-formed"));
        assert_eq!(faults, 1, "{text}");
        assert!(
            text.contains("G1   memory  proved by 2") && text.contains("G1   redis   not proved: 1 of 2"),
            "{text}"
        );
        assert!(text.contains("Failed: tests/tests/end_to_end/failing.rs::ends"), "{text}");
        assert_eq!(text.matches("no test is named").count(), 2, "{text}");
    }
}
