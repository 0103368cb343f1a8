//! The rules that the crates keep among themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// Who may know whom, beside tests. A crate that isn't named here is one that may be taken from the workspace by
/// nobody but examples and tests.
const EDGES: &[(&str, &[&str])] = &[
    ("pynenc-core", &[]),
    ("pynenc-macros", &[]),
    ("pynenc-engine", &["pynenc-core"]),
    ("pynenc-mem", &["pynenc-core"]),
    ("pynenc-redis", &["pynenc-core"]),
    ("pynenc-triggers", &["pynenc-core", "pynenc-engine"]),
    ("pynenc-workflow", &["pynenc-core", "pynenc-engine"]),
    (
        "pynenc-builder",
        &["pynenc-core", "pynenc-engine", "pynenc-mem", "pynenc-redis", "pynenc-triggers", "pynenc-workflow"],
    ),
    ("pynenc-cli", &["pynenc-builder", "pynenc-core", "pynenc-engine"]),
    ("pynenc", &["pynenc-builder", "pynenc-cli", "pynenc-core", "pynenc-engine", "pynenc-macros"]),
    ("pynenc-testkit", &["pynenc-core", "pynenc-engine"]),
    ("file-broker", &["pynenc-core"]),
];

/// Those that are never published, and may know every other crate.
const UNBOUND: &[&str] = &["pynenc-bench", "pynenc-tests"];

/// What would let the core do I/O.
const IO_CRATES: &[&str] = &["async-std", "deadpool", "deadpool-redis", "hyper", "mio", "redis", "reqwest", "socket2"];

/// What the core may ask of tokio: no sockets, no files, no runtime.
const CORE_TOKIO_FEATURES: &[&str] = &["time"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the workspace").to_owned()
}

fn workspace() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo describes the workspace")
}

fn is_example(package: &Package) -> bool {
    package.manifest_path.as_std_path().starts_with(root().join("examples"))
}

fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|registries| !registries.is_empty())
}

/// What a crate needs when it is used.
fn needed(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

fn core(workspace: &Metadata) -> &Package {
    workspace.packages.iter().find(|package| package.name.as_str() == "pynenc-core").expect("there is a core")
}

#[test]
fn crates_know_whom_they_may() {
    let workspace = workspace();
    let members: BTreeSet<_> = workspace.packages.iter().map(|package| package.name.to_string()).collect();
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            let unbound = UNBOUND.contains(&name) || is_example(package);
            assert!(unbound, "say in this test whom the crate `{name}` may know");
            continue;
        };
        let known = needed(package).filter(|dependency| members.contains(&dependency.name));
        wrong.extend(
            known
                .filter(|dependency| !allowed.contains(&dependency.name.as_str()))
                .map(|dependency| format!("{name} knows {}", dependency.name)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_part_comes_with_its_feature_alone() {
    let workspace = workspace();
    let builder = workspace.packages.iter().find(|package| package.name.as_str() == "pynenc-builder");
    let backends = ["pynenc-mem", "pynenc-redis", "pynenc-triggers", "pynenc-workflow"];
    let always = needed(builder.expect("there is a builder")).filter(|dependency| !dependency.optional);
    let always: Vec<_> = always.filter(|dependency| backends.contains(&dependency.name.as_str())).collect();
    assert!(always.is_empty(), "{always:#?}");
}

#[test]
fn the_command_line_comes_with_its_feature_alone() {
    let workspace = workspace();
    let package = |name| workspace.packages.iter().find(|package| package.name.as_str() == name).expect("it is there");
    let is_asked_for = |of: &Package, name: &str| needed(of).any(|needed| needed.name == name && !needed.optional);
    assert!(!is_asked_for(package("pynenc"), "pynenc-cli"));
    assert_eq!(package("pynenc").features["default"], ["mem"]);
    for library in ["pynenc-core", "pynenc-engine", "pynenc-builder", "pynenc"] {
        for heavy in ["clap", "comfy-table", "indicatif", "tracing-subscriber"] {
            assert!(!is_asked_for(package(library), heavy), "{library} needs {heavy}");
        }
    }
}

#[test]
fn the_core_does_no_io() {
    let workspace = workspace();
    for dependency in needed(core(&workspace)) {
        assert!(!IO_CRATES.contains(&dependency.name.as_str()), "the core depends on {}", dependency.name);
        if dependency.name == "tokio" {
            assert_eq!(dependency.features, CORE_TOKIO_FEATURES);
            assert!(!dependency.uses_default_features);
        }
    }
}

#[test]
fn packages_are_described_alike() {
    let workspace = workspace();
    for package in &workspace.packages {
        let (name, published) = (&package.name, is_published(package));
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest is text");
        for line in ["version", "edition", "rust-version", "license"] {
            let line = format!("{line}.workspace = true");
            assert!(manifest.contains(&line), "{name}: no `{line}`");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name}: not under the workspace's lints");
        assert!(package.description.as_ref().is_some_and(|text| text.len() > 20), "{name}: no description");
        let is_library = EDGES.iter().any(|(library, _)| library == &name.as_str()) && !is_example(package);
        assert_eq!(published, is_library, "{name}: published or not?");
        if published {
            assert!(package.repository.is_some(), "{name}: no repository");
            assert!((1..=5).contains(&package.keywords.len()), "{name}: one to five keywords are taken");
            assert!(!package.categories.is_empty(), "{name}: no categories");
            for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
                let file = package.manifest_path.with_file_name(license);
                assert!(fs::read_to_string(&file).is_ok_and(|text| text.len() > 500), "{name}: no {license}");
            }
            let documents_features = manifest.contains("[package.metadata.docs.rs]\nall-features = true");
            assert!(package.features.is_empty() || documents_features, "{name}: its features aren't documented");
        }
    }
}

#[test]
fn what_is_published_needs_only_what_is_published() {
    let workspace = workspace();
    let private: BTreeSet<_> = workspace
        .packages
        .iter()
        .filter(|package| !is_published(package))
        .map(|package| package.name.as_str())
        .collect();
    for package in workspace.packages.iter().filter(|package| is_published(package)) {
        let wrong: Vec<_> =
            package.dependencies.iter().filter(|needed| private.contains(needed.name.as_str())).collect();
        assert!(wrong.is_empty(), "{} needs {wrong:?}", package.name);
    }
}

#[test]
fn an_example_is_short_and_says_how_to_run_it() {
    for package in workspace().packages.iter().filter(|package| is_example(package)) {
        let name = package.name.as_str();
        let sources = package.manifest_path.with_file_name("src");
        let read = |file: &str| fs::read_to_string(sources.join(file)).unwrap_or_default();
        let (main, library) = (read("main.rs"), read("lib.rs"));
        assert!(main.lines().count() <= 120, "{name}: main.rs is longer than 120 lines");
        let command = match (main.is_empty(), sources.join("bin").exists()) {
            (false, _) => format!("cargo run -p {name}\n"),
            (true, true) => format!("cargo run -p {name} --bin "),
            (true, false) => format!("cargo test -p {name}\n"),
        };
        let is_part = name == "file-broker";
        assert!(
            is_part || (main + &library).contains(&format!("Run with\n//!\n//! ```not_rust\n//! {command}")),
            "{name}"
        );
        let tests = package.targets.iter().filter(|target| target.is_test()).count();
        assert!(tests > 0, "{name}: no test holds it to what it shows");
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of the workspace") {
        let path = entry.expect("a directory of the workspace").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let mut files = Vec::new();
    ["crates", "examples", "tests"].iter().for_each(|directory| sources(&root().join(directory), &mut files));
    assert!(files.len() > 100, "the sources are found");
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let attribute = format!("#[{}", "ignore");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source is text");
        for left in macros.iter().chain([&attribute]) {
            assert!(!text.contains(left.as_str()), "{} holds `{left}`", file.display());
        }
    }
}
