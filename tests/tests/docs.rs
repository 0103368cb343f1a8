//! What the documents state, held against the code.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use pynenc::triggers::TriggersConfig;
use pynenc::workflows::WorkflowConfig;
use pynenc_core::config::{Config, Section};
use pynenc_core::status::{Actors, EDGES};
use pynenc_core::{Reason, Status};
use pynenc_redis::RedisConfig;

const STATUS_PAGE: &str = "docs/src/status-machine.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the workspace").to_owned()
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page, with its path from the root.
fn pages() -> Vec<(String, String)> {
    let book = fs::read_dir(root().join("docs/src")).expect("there is a book");
    let pages = book.map(|entry| format!("docs/src/{}", entry.expect("a page").file_name().to_string_lossy()));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    pages.chain(others).map(|path| (path.clone(), text(&path))).collect()
}

/// What stands between `open` and `close`, wherever it does.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

/// Checks a section that is commented out with its name, because only a feature reads it.
fn check_commented<T: Section + Default + PartialEq>() {
    let (file, name) = (text("pynenc.toml"), T::NAME);
    let section = file.split_once(&format!("# [{name}]\n")).expect("the section is there").1;
    let section = section.split("\n# [").next().unwrap_or_default();
    let settings: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let folder = tempfile::tempdir().expect("a test may make a folder");
    let path = folder.path().join("pynenc.toml");
    let uncommented = format!("[{name}]\n{}\n", settings.join("\n"));
    fs::write(&path, &uncommented).expect("a test may write to its folder");
    let config = Config::loader().file(&path).environment([]).load().expect("the section is understood");
    assert!(config.section::<T>().expect("every setting is known") == T::default(), "{uncommented}");
    let unsaid: Vec<_> = config.explain().into_iter().filter(|setting| setting.source == "default").collect();
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

#[test]
fn the_commented_sections_say_their_defaults() {
    check_commented::<RedisConfig>();
    check_commented::<TriggersConfig>();
    check_commented::<WorkflowConfig>();
}

#[test]
fn the_page_of_statuses_is_that_of_the_table() {
    let page = status_page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(STATUS_PAGE), &page).expect("the page can be written");
    }
    assert!(text(STATUS_PAGE) == page, "{STATUS_PAGE} is out of date: run the tests with UPDATE_DOCS=1");
}

fn status_page() -> String {
    let mut page = String::from(
        "<!-- Made from the table of the code by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Statuses\n\n\
         An invocation is always in one of these statuses. The table of legal moves is `pynenc_core::status::EDGES`, and\n\
         the function `pynenc_core::status::advance` is its only judge. Every store asks it.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> registered\n    [*] --> scheduled\n",
    );
    for edge in EDGES {
        let _ = writeln!(page, "    {} --> {}", edge.from, edge.to);
    }
    for status in finals() {
        let _ = writeln!(page, "    {status} --> [*]");
    }
    page += "```\n\n| status | means | next |\n|---|---|---|\n";
    for status in Status::ALL {
        let next: Vec<_> =
            EDGES.iter().filter(|edge| edge.from == *status).map(|edge| format!("`{}`", edge.to)).collect();
        let next = if next.is_empty() { "final".to_owned() } else { next.join(", ") };
        let _ = writeln!(page, "| `{status}` | {} | {next} |", meaning(status.as_str()));
    }
    page += "\n## Who makes a move\n\nThe *owner* is the runner that claimed the invocation, a *claimer* a runner that tries to. Anybody \
             else, such as a\nclient that cancels or the recovery of lost runners, is the *system*.\n\n| from | to | by |\n|---|---|---|\n";
    for edge in EDGES {
        let _ = writeln!(page, "| `{}` | `{}` | {} |", edge.from, edge.to, actors(edge.actors));
    }
    page += "\n## Reasons\n\nEach line of an invocation's history says why the move was made.\n\n| reason | means |\n|---|---|\n";
    for reason in Reason::ALL {
        let _ = writeln!(page, "| `{reason}` | {} |", meaning(reason.as_str()));
    }
    page
}

fn finals() -> impl Iterator<Item = &'static Status> {
    Status::ALL.iter().filter(|status| status.is_final())
}

fn actors(actors: Actors) -> &'static str {
    match actors {
        Actors::Claimer => "claimer",
        Actors::Owner => "owner",
        Actors::System => "system",
        Actors::OwnerOrSystem => "owner, system",
        Actors::ClaimerOrSystem => "claimer, system",
    }
}

/// What the code's own documentation says of a spelling.
fn meaning(spelling: &str) -> String {
    let source = text("crates/pynenc-core/src/status.rs");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let place =
        lines.iter().position(|line| line.ends_with(&format!("= \"{spelling}\","))).expect("it is spelled once");
    let doc = lines[place - 1].strip_prefix("/// ").expect("it is documented in one line");
    doc.trim_end_matches('.').to_owned()
}

#[test]
fn what_pages_include_exists() {
    let mut count = 0;
    for (page, content) in pages() {
        for include in between(&content, "{{#include ", "}}") {
            let (path, anchor) = include.split_once(':').unwrap_or((include, ""));
            let path = Path::new(&page).parent().expect("a page has a folder").join(path);
            let source = text(&path);
            let anchored = anchor.is_empty() || source.contains(&format!("ANCHOR: {anchor}\n"));
            assert!(anchored, "{page}: no anchor `{anchor}` in {}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "includes are found");
}

#[test]
fn links_lead_somewhere() {
    for (page, content) in pages() {
        for link in between(&content, "](", ")") {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.starts_with("https://") {
                continue;
            }
            let target = root().join(&page).with_file_name("").join(path);
            assert!(target.exists(), "{page} links to {link}");
        }
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = text("docs/src/SUMMARY.md");
    for (page, _) in pages().iter().filter(|(page, _)| page.starts_with("docs/src/")) {
        let file = page.trim_start_matches("docs/src/");
        assert!(file == "SUMMARY.md" || summary.contains(&format!("]({file})")), "{page} isn't in the summary");
    }
}

/// Each block of Rust is compiled: `rs` as an example's own source, `rust` as an example of this package's documentation.
#[test]
fn every_block_of_rust_is_compiled() {
    let compiled = text("tests/src/lib.rs");
    for (page, content) in pages() {
        for code in between(&content, "\n```rs\n", "\n```") {
            let includes = code.lines().all(|line| line.starts_with("{{#include ../../examples/"));
            assert!(includes, "{page}: a block of the language `rs` holds more than includes:\n{code}");
        }
        let is_listed = compiled.contains(&format!("\"../../{page}\""));
        assert!(is_listed || !content.contains("```rust"), "{page} isn't listed in tests/src/lib.rs");
        let others = content.matches("```rust,").count() - content.matches("```rust,standalone_crate\n").count();
        assert!(others == 0, "{page}: a block of Rust isn't compiled, or isn't run");
    }
}

/// A test is named as `path/of/the/file.rs::name`.
#[test]
fn the_tests_that_pages_name_exist() {
    let mut named = BTreeSet::new();
    for (page, content) in pages() {
        for test in content.split('`').filter(|word| word.contains(".rs::")) {
            let (path, name) = test.split_once("::").expect("it has both parts");
            let source = text(path);
            let found = source.contains(&format!("fn {name}(")) || source.contains(&format!("{name}!("));
            assert!(found, "{page} names {test}");
            named.insert(test.to_owned());
        }
    }
    assert!(named.len() > 10, "tests are named: {named:?}");
}

#[test]
fn every_guarantee_has_its_line() {
    let page = text("docs/src/guarantees.md");
    for number in 1..=15 {
        assert!(page.contains(&format!("\n| G{number} |")), "G{number} is missing");
    }
}
