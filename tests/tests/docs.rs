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
use pynenc_tests::guarantees::{self, Guarantee, Place};

/// A file of the book, and what makes it.
type Made = (&'static str, fn() -> String);

/// What is made from the code.
const MADE: [Made; 4] = [
    ("docs/src/guarantees.md", guarantees::page),
    ("docs/src/status-machine.md", status_page),
    ("docs/src/status-machine.svg", pynenc::cli::status_machine::svg),
    ("docs/src/settings.md", settings_page),
];

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
    let files = book.map(|entry| PathBuf::from(entry.expect("a page").file_name()));
    let pages = files.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.map(|name| format!("docs/src/{}", name.display()));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned);
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
fn what_is_made_from_the_code_is_up_to_date() {
    for (path, make) in MADE {
        let page = make();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(root().join(path), &page).expect("the page can be written");
        }
        assert!(text(path) == page, "{path} is out of date: run the tests with UPDATE_DOCS=1");
    }
}

/// A setting of `pynenc.toml`: its default as it stands there, and what is said of it.
struct Described {
    key: String,
    default: String,
    means: String,
}

/// The sections of `pynenc.toml`, each with what is said of it and its settings.
fn described() -> Vec<(String, String, Vec<Described>)> {
    let mut sections = vec![(String::new(), String::new(), Vec::new())];
    let mut said: Vec<String> = Vec::new();
    let file = text("pynenc.toml");
    for line in file.lines() {
        let bare = line.trim_start_matches('#').trim();
        let (_, _, settings): &mut (_, _, Vec<Described>) = sections.last_mut().expect("there is the root");
        if line.starts_with("#    ") {
            said.push(format!("`{bare}`,")); // an example within what is said
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.to_owned(), said.join(" "), Vec::new()));
            said.clear();
        } else if let Some((key, default)) = setting(line) {
            // What stands under one comment shares it.
            let before = settings.last().map(|it| it.means.clone()).unwrap_or_default();
            let means = if said.is_empty() { before } else { said.join(" ") };
            settings.push(Described { key: key.to_owned(), default: default.to_owned(), means });
            said.clear();
        } else if line.is_empty() {
            said.clear();
        } else {
            said.extend((!bare.is_empty()).then(|| bare.to_owned()));
        }
    }
    sections
}

/// A line that holds a setting, commented out.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, default) = line.strip_prefix('#')?.trim().split_once(" = ")?;
    let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((key, default))
}

fn settings_page() -> String {
    let mut page = String::from(
        "<!-- Made from pynenc.toml by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Every setting\n\n\
         What each means, its default, and the variable that sets it. [Configuration](configuration.md) tells which layer\n\
         is stronger; `config` on the [command line](command-line.md) shows what is in force, and why.\n",
    );
    for (section, said, settings) in described() {
        let heading = if section.is_empty() { "The app".to_owned() } else { format!("`[{section}]`") };
        let _ = writeln!(page, "\n## {heading}\n");
        if !said.is_empty() {
            let _ = writeln!(page, "{said}\n");
        }
        page += "| setting | default | variable | means |\n|---|---|---|---|\n";
        for Described { key, default, means } in settings {
            let path = if section.is_empty() { String::new() } else { format!("{}__", section.to_uppercase()) };
            let means = means.replace('|', "\\|");
            let _ = writeln!(page, "| `{key}` | `{default}` | `PYNENC__{path}{}` | {means} |", key.to_uppercase());
        }
    }
    page
}

#[test]
fn every_setting_is_on_its_page() {
    let page = text("docs/src/settings.md");
    let builder = pynenc::Pynenc::builder().without_config_file().environment([]);
    let settings = builder.explain().expect("the defaults are right");
    assert!(settings.len() > 40, "{settings:?}");
    for setting in settings {
        let (section, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        let path = if section.is_empty() { String::new() } else { format!("{}__", section.to_uppercase()) };
        let variable = format!("`PYNENC__{path}{}`", key.to_uppercase());
        assert!(page.contains(&format!("| `{key}` | ")) && page.contains(&variable), "{} is missing", setting.key);
    }
}

fn status_page() -> String {
    let mut page = String::from(
        "<!-- Made from the table of the code by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Statuses\n\n\
         An invocation is always in one of these statuses. The table of legal moves is `pynenc_core::status::EDGES`, and\n\
         the function `pynenc_core::status::advance` is its only judge. Every store asks it.\n\n\
         ![The statuses and the ways between them](status-machine.svg)\n\n\
         `status-machine` on the [command line](command-line.md) draws it as text, as this picture, and for Mermaid:\n\n\
         ```mermaid\n",
    );
    page += &pynenc::cli::status_machine::mermaid();
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

/// An example is named as `cargo run -p its-name`, or by its folder.
#[test]
fn the_examples_that_pages_name_exist() {
    let mut count = 0;
    for (page, content) in pages() {
        for path in between(&content, "`examples/", "`").filter(|path| !path.contains("::")) {
            assert!(root().join("examples").join(path).exists(), "{page} names examples/{path}");
            count += 1;
        }
    }
    assert!(count > 10, "examples are named");
}

/// Each of the use cases of the guide has its line in the table of features.
#[test]
fn every_use_case_is_mapped() {
    let page = text("docs/src/features.md");
    for number in 1..=11 {
        assert!(page.contains(&format!("\n## {number}. ")), "use case {number} is missing");
    }
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| feature")).collect();
    assert!(rows.len() > 40, "the features are listed");
    for row in rows {
        assert!(row.contains(".rs::") || row.contains("not yet"), "no test is named: {row}");
    }
}

/// Each command has its place on the page of the command line.
#[test]
fn every_command_is_told_of() {
    let page = text("docs/src/command-line.md");
    let source = text("crates/pynenc-cli/src/arguments.rs");
    let commands = between(&source, "pub(crate) enum Command {", "\n}").next().expect("there are commands");
    let variants = commands.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    let mut count = 0;
    for variant in variants {
        let name: String = variant.chars().take_while(char::is_ascii_alphanumeric).collect();
        let dashed = name.replace("StatusMachine", "Status-Machine").to_lowercase();
        assert!(page.contains(&format!("`{dashed}")), "`{dashed}` is missing");
        count += 1;
    }
    assert!(count > 12, "commands are found");
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
        // The command line reads the arguments of its process, of which an example has none.
        let unrun = between(&content, "```rust,no_run\n", "```").filter(|code| code.contains("pynenc::cli::main()"));
        let others = content.matches("```rust,").count() - content.matches("```rust,standalone_crate\n").count();
        let others = others - unrun.count();
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
            let spellings = [format!("fn {name}("), format!("{name}!("), format!("suite!({name}: ")];
            assert!(spellings.iter().any(|spelling| source.contains(spelling)), "{page} names {test}");
            named.insert(test.to_owned());
        }
    }
    assert!(named.len() > 10, "tests are named: {named:?}");
}

/// The features of the facade, each with the comment that stands above it.
fn features() -> Vec<(String, String)> {
    let manifest = text("crates/pynenc/Cargo.toml");
    let section = between(&manifest, "[features]\n", "\n\n").next().expect("there are features");
    let (mut features, mut said) = (Vec::new(), String::new());
    for line in section.lines() {
        match (line.strip_prefix('#'), line.split_once(" = ")) {
            (None, Some((name, _))) => features.push((name.to_owned(), std::mem::take(&mut said).trim().to_owned())),
            (comment, _) => said = format!("{said} {}", comment.unwrap_or(line).trim()),
        }
    }
    features
}

#[test]
fn the_readme_lists_every_feature() {
    let readme = text("README.md");
    let features = features();
    assert!(features.len() > 6, "{features:?}");
    for (name, said) in features.iter().filter(|(name, _)| name != "default") {
        let row = format!("| `{name}` | {} |", said.trim_end_matches('.'));
        assert!(readme.contains(&row), "the README lacks: {row}");
    }
}

/// In each place at least one test is named, or the page says that none is.
#[test]
fn every_guarantee_has_its_line() {
    let guarantees = Guarantee::all();
    let names: Vec<_> = guarantees.iter().map(|guarantee| guarantee.name.clone()).collect();
    assert_eq!(names, (1..=15).map(|number| format!("G{number}")).collect::<Vec<_>>());
    let page = text("docs/src/guarantees.md");
    let cells = guarantees.iter().flat_map(|guarantee| Place::ALL.map(|place| guarantee.tests(place)));
    let unproved = cells.filter(|tests| tests.is_empty()).count();
    assert_eq!(page.matches("| not proved ").count(), unproved, "{page}");
}

/// Each fault has its line, with the tests that hold it or why there is none.
#[test]
fn every_fault_has_its_line() {
    let page = text("docs/src/faults.md");
    let table = page.split_once("## Table").expect("there is a table").1;
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| F")).collect();
    assert_eq!(rows.len(), 48);
    for row in rows {
        assert!(row.contains(".rs::") || row.contains("not covered: "), "{row}");
    }
    for number in 1..=12 {
        assert!(page.contains(&format!("\n| I{number} |")), "I{number} is missing");
    }
}
