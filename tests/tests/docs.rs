//! Checks the statements of the documents against the code.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use pynenc::metrics::MetricsConfig;
use pynenc::otel::OtelConfig;
use pynenc::triggers::TriggersConfig;
use pynenc::web::WebConfig;
use pynenc::workflows::WorkflowConfig;
use pynenc_core::config::{Config, Section};
use pynenc_core::status::{Actors, EDGES};
use pynenc_core::{Reason, Status};
use pynenc_engine::metrics::list;
use pynenc_redis::RedisConfig;
use pynenc_sqlite::SqliteConfig;
use pynenc_tests::dashboard;
use pynenc_tests::guarantees::{self, Backend, Guarantee};

/// A file, and the function that generates it.
type Made = (&'static str, fn() -> String);

/// The generated files.
const MADE: [Made; 6] = [
    ("deploy/grafana/pynenc.json", dashboard::json),
    ("docs/src/guarantees.md", guarantees::page),
    ("docs/src/metrics.md", metrics_page),
    ("docs/src/status-machine.md", status_page),
    ("docs/src/status-machine.svg", pynenc::cli::status_machine::svg),
    ("docs/src/settings.md", settings_page),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace").to_owned()
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every page with its path from the root.
fn pages() -> Vec<(String, String)> {
    let book = fs::read_dir(root().join("docs/src")).expect("docs/src exists");
    let files = book.map(|entry| PathBuf::from(entry.expect("the folder can be listed").file_name()));
    let pages = files.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.map(|name| format!("docs/src/{}", name.display()));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned);
    pages.chain(others).map(|path| (path.clone(), text(&path))).collect()
}

/// The texts between each `open` and the next `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

/// Checks a commented-out section of a feature against its defaults.
fn check_commented<T: Section + Default + PartialEq>() {
    let (file, name) = (text("pynenc.toml"), T::NAME);
    let section = file.split_once(&format!("# [{name}]\n")).expect("pynenc.toml has the section").1;
    let section = section.split("\n# [").next().unwrap_or_default();
    let settings: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let path = folder.path().join("pynenc.toml");
    let uncommented = format!("[{name}]\n{}\n", settings.join("\n"));
    fs::write(&path, &uncommented).expect("the file can be written");
    let config = Config::loader().file(&path).environment([]).load().expect("the section is valid");
    assert!(config.section::<T>().expect("every setting is valid") == T::default(), "{uncommented}");
    let missing: Vec<_> = config.explain().into_iter().filter(|setting| setting.source == "default").collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn commented_sections_show_their_defaults() {
    check_commented::<RedisConfig>();
    check_commented::<MetricsConfig>();
    check_commented::<SqliteConfig>();
    check_commented::<OtelConfig>();
    check_commented::<TriggersConfig>();
    check_commented::<WebConfig>();
    check_commented::<WorkflowConfig>();
}

#[test]
fn generated_pages_are_up_to_date() {
    for (path, make) in MADE {
        let page = make();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(root().join(path), &page).expect("the page can be written");
        }
        assert!(text(path) == page, "{path} is out of date: run the tests with UPDATE_DOCS=1");
    }
}

/// A setting of `pynenc.toml` with its default and its description.
struct Described {
    key: String,
    default: String,
    means: String,
}

/// The sections of `pynenc.toml` with their descriptions and settings.
fn described() -> Vec<(String, String, Vec<Described>)> {
    let mut sections = vec![(String::new(), String::new(), Vec::new())];
    let mut comments: Vec<String> = Vec::new();
    let file = text("pynenc.toml");
    for line in file.lines() {
        let bare = line.trim_start_matches('#').trim();
        let (_, _, settings): &mut (_, _, Vec<Described>) =
            sections.last_mut().expect("the list starts with the root section");
        if line.starts_with("#    ") {
            comments.push(format!("`{bare}`,")); // an example within the description
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.to_owned(), comments.join(" "), Vec::new()));
            comments.clear();
        } else if let Some((key, default)) = setting(line) {
            // Settings under one comment share its description.
            let before = settings.last().map(|it| it.means.clone()).unwrap_or_default();
            let means = if comments.is_empty() { before } else { comments.join(" ") };
            settings.push(Described { key: key.to_owned(), default: default.to_owned(), means });
            comments.clear();
        } else if line.is_empty() {
            comments.clear();
        } else {
            comments.extend((!bare.is_empty()).then(|| bare.to_owned()));
        }
    }
    sections
}

/// Parses a commented-out setting.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, default) = line.strip_prefix('#')?.trim().split_once(" = ")?;
    let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_key.then_some((key, default))
}

fn settings_page() -> String {
    let mut page = String::from(
        "<!-- Made from pynenc.toml by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Every setting\n\n\
         Each setting with its default, its variable and its meaning. [Configuration](configuration.md) describes which layer\n\
         takes precedence. `config` on the [command line](command-line.md) shows the values in force and their sources.\n",
    );
    for (section, description, settings) in described() {
        let heading = if section.is_empty() { "The app".to_owned() } else { format!("`[{section}]`") };
        let _ = writeln!(page, "\n## {heading}\n");
        if !description.is_empty() {
            let _ = writeln!(page, "{description}\n");
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
    let settings = builder.explain().expect("the defaults are valid");
    assert!(settings.len() > 40, "{settings:?}");
    for setting in settings {
        let (section, key) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        let path = if section.is_empty() { String::new() } else { format!("{}__", section.to_uppercase()) };
        let variable = format!("`PYNENC__{path}{}`", key.to_uppercase());
        assert!(page.contains(&format!("| `{key}` | ")) && page.contains(&variable), "{} is missing", setting.key);
    }
}

fn metrics_page() -> String {
    let mut page = String::from(
        "<!-- Made from the list of the code by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # List of metrics\n\n\
         [Monitoring](monitoring.md) says how to read them. Counters and histograms belong to one process, and so do the gauges\n\
         `pynenc_runner_…`. The other gauges describe the whole app, and one process of the app exports them.\n\
         [Dashboard and alerts](alerts.md) describes a dashboard for Grafana and alert rules for Prometheus.\n\n\
         No label has an id as its value. A queue or task beyond the first 1,000 that the app doesn't have itself, and a kind of\n\
         error beyond the first 50 of a task, is counted as `other`. For Prometheus each series also has the label `app`.\n\n\
         | metric | kind | labels | means |\n|---|---|---|---|\n",
    );
    for metric in list::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {} |", labels.join(", "), metric.help);
    }
    page += "\n## Buckets\n\nThe upper bounds of the buckets, for each unit:\n\n";
    for (unit, bounds) in [("seconds", list::SECONDS), ("bytes", list::BYTES), ("items", list::ITEMS)] {
        let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
        let _ = writeln!(page, "- {unit}: {}", bounds.join(", "));
    }
    page
}

fn status_page() -> String {
    let mut page = String::from(
        "<!-- Made from the table of the code by a test: UPDATE_DOCS=1 cargo test -p pynenc-tests --test docs -->\n\n\
         # Statuses\n\n\
         An invocation always has one of these statuses. `pynenc_core::status::EDGES` is the table of allowed transitions.\n\
         Every store applies it with the function `pynenc_core::status::advance`.\n\n\
         ![The statuses and their transitions](status-machine.svg)\n\n\
         `status-machine` on the [command line](command-line.md) prints the table as text, as this picture, and for Mermaid:\n\n\
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
    page += "\n## Actors\n\nThe *owner* is the runner that claimed the invocation. A *claimer* is a runner that tries to claim it. Any other \
             actor\nis the *system*, such as a client that cancels or the recovery of lost runners.\n\n| from | to | by |\n|---|---|---|\n";
    for edge in EDGES {
        let _ = writeln!(page, "| `{}` | `{}` | {} |", edge.from, edge.to, actors(edge.actors));
    }
    page += "\n## Reasons\n\nEach line of an invocation's history has the reason of its transition.\n\n| reason | means |\n|---|---|\n";
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

/// The description of a status or reason in the code's documentation.
fn meaning(spelling: &str) -> String {
    let source = text("crates/pynenc-core/src/status.rs");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let index = lines
        .iter()
        .position(|line| line.ends_with(&format!("= \"{spelling}\",")))
        .expect("status.rs has the spelling");
    let doc = lines[index - 1].strip_prefix("/// ").expect("the variant has a one-line doc comment");
    doc.trim_end_matches('.').to_owned()
}

#[test]
fn included_files_and_anchors_exist() {
    let mut count = 0;
    for (page, content) in pages() {
        for include in between(&content, "{{#include ", "}}") {
            let (path, anchor) = include.split_once(':').unwrap_or((include, ""));
            let path = Path::new(&page).parent().expect("a page has a parent folder").join(path);
            let source = text(&path);
            let anchored = anchor.is_empty() || source.contains(&format!("ANCHOR: {anchor}\n"));
            assert!(anchored, "{page}: no anchor `{anchor}` in {}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "too few includes were found: {count}");
}

/// Examples are named as `cargo run -p name` or by their folder.
#[test]
fn named_examples_exist() {
    let mut count = 0;
    for (page, content) in pages() {
        for path in between(&content, "`examples/", "`").filter(|path| !path.contains("::")) {
            assert!(root().join("examples").join(path).exists(), "{page} names examples/{path}");
            count += 1;
        }
    }
    assert!(count > 10, "too few examples were found: {count}");
}

/// Each use case of the guide needs a line in the table of features.
#[test]
fn every_use_case_is_mapped() {
    let page = text("docs/src/features.md");
    for number in 1..=11 {
        assert!(page.contains(&format!("\n## {number}. ")), "use case {number} is missing");
    }
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| feature")).collect();
    assert!(rows.len() > 40, "too few features were found: {rows:?}");
    for row in rows {
        assert!(row.contains(".rs::") || row.contains("not yet"), "the row names no test: {row}");
    }
}

/// Each command needs a description on the page of the command line.
#[test]
fn every_command_is_documented() {
    let page = text("docs/src/command-line.md");
    let source = text("crates/pynenc-cli/src/arguments.rs");
    let commands =
        between(&source, "pub(crate) enum Command {", "\n}").next().expect("arguments.rs has the enum `Command`");
    let variants = commands.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    let mut count = 0;
    for variant in variants {
        let name: String = variant.chars().take_while(char::is_ascii_alphanumeric).collect();
        let dashed = name.replace("StatusMachine", "Status-Machine").to_lowercase();
        assert!(page.contains(&format!("`{dashed}")), "`{dashed}` is missing");
        count += 1;
    }
    assert!(count > 12, "too few commands were found: {count}");
}

#[test]
fn links_have_targets() {
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

/// Each block of Rust is compiled: `rs` as part of an example, `rust` as a documentation test of this package.
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
        // An example can't call the command line, because that parses the arguments of the process.
        let unrun = between(&content, "```rust,no_run\n", "```").filter(|code| code.contains("pynenc::cli::main()"));
        let others = content.matches("```rust,").count() - content.matches("```rust,standalone_crate\n").count();
        let others = others - unrun.count();
        assert!(others == 0, "{page}: a block of Rust isn't compiled, or isn't run");
    }
}

/// Tests are named as `path/of/the/file.rs::name`.
#[test]
fn named_tests_exist() {
    let mut named = BTreeSet::new();
    for (page, content) in pages() {
        for test in content.split('`').filter(|word| word.contains(".rs::")) {
            let (path, name) = test.split_once("::").expect("a test is named as path::name");
            let source = text(path);
            let spellings = [format!("fn {name}("), format!("{name}!("), format!("suite!({name}: ")];
            assert!(spellings.iter().any(|spelling| source.contains(spelling)), "{page} names {test}");
            named.insert(test.to_owned());
        }
    }
    assert!(named.len() > 10, "too few tests were found: {named:?}");
}

/// The features of the facade crate, with the comments above them.
fn features() -> Vec<(String, String)> {
    let manifest = text("crates/pynenc/Cargo.toml");
    let section = between(&manifest, "[features]\n", "\n\n").next().expect("the manifest has features");
    let (mut features, mut comment) = (Vec::new(), String::new());
    for line in section.lines() {
        match (line.strip_prefix('#'), line.split_once(" = ")) {
            (None, Some((name, _))) => features.push((name.to_owned(), std::mem::take(&mut comment).trim().to_owned())),
            (text, _) => comment = format!("{comment} {}", text.unwrap_or(line).trim()),
        }
    }
    features
}

#[test]
fn the_readme_lists_every_feature() {
    let readme = text("README.md");
    let features = features();
    assert!(features.len() > 6, "{features:?}");
    for (name, comment) in features.iter().filter(|(name, _)| name != "default") {
        let row = format!("| `{name}` | {} |", comment.trim_end_matches('.'));
        assert!(readme.contains(&row), "the README lacks: {row}");
    }
}

/// Each backend of a guarantee has a test, or the page says that it isn't proved.
#[test]
fn every_guarantee_is_listed() {
    let guarantees = Guarantee::all();
    let names: Vec<_> = guarantees.iter().map(|guarantee| guarantee.name.clone()).collect();
    assert_eq!(names, (1..=15).map(|number| format!("G{number}")).collect::<Vec<_>>());
    let page = text("docs/src/guarantees.md");
    let cells = guarantees.iter().flat_map(|guarantee| Backend::ALL.map(|backend| guarantee.tests(backend)));
    let unproved = cells.filter(|tests| tests.is_empty()).count();
    assert_eq!(page.matches("| not proved ").count(), unproved, "{page}");
}

/// Each fault needs a line with its tests, or with the reason why it has none.
#[test]
fn every_fault_is_listed() {
    let page = text("docs/src/faults.md");
    let table = page.split_once("## Table").expect("the page has a table").1;
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| F")).collect();
    assert_eq!(rows.len(), 55);
    for row in rows {
        assert!(row.contains(".rs::") || row.contains("not covered: "), "{row}");
    }
    for number in 1..=12 {
        assert!(page.contains(&format!("\n| I{number} |")), "I{number} is missing");
    }
}

/// The number after a text in a manifest.
fn number_after(manifest: &str, text: &str) -> u64 {
    let rest = manifest.split(text).nth(1).unwrap_or_else(|| panic!("{text} is in the manifest"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number follows")
}

#[test]
fn the_manifests_fit_the_settings() {
    let deploy = |file: &str| fs::read_to_string(root().join("deploy").join(file)).expect("the manifest can be read");
    let (unit, worker, scaling) =
        (deploy("systemd/worker.service"), deploy("kubernetes/worker.yaml"), deploy("kubernetes/autoscaling.yaml"));
    let runner = pynenc::config::RunnerConfig::default();
    // After the grace time, a worker has 5 s to give back what isn't finished, and then it sends the last spans.
    let needed = runner.shutdown_grace.as_secs() + 5 + pynenc::otel::FLUSH_TIMEOUT.as_secs();
    assert!(number_after(&unit, "TimeoutStopSec=") > needed);
    assert!(number_after(&worker, "terminationGracePeriodSeconds: ") > needed);
    assert_eq!(number_after(&worker, "PYNENC__RUNNER__SHUTDOWN_GRACE, value: "), runner.shutdown_grace.as_secs());
    assert!(number_after(&unit, "WatchdogSec=") > 2 * runner.lease.as_secs());
    let ports = ["0.0.0.0:", "containerPort: ", "prometheus.io/port: \""].map(|text| number_after(&worker, text));
    assert_eq!(ports, [9464; 3]);
    let metrics = scaling.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let known: Vec<_> = metrics.filter(|word| list::ALL.iter().any(|metric| metric.name == *word)).collect();
    assert_eq!(known, [list::OLDEST_READY.name]);
}
