//! The rules of the workspace: which crate may use which, which files may import which, and how packages look.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// The workspace crates that each library may depend on, outside of tests. Only examples and tests may depend on a crate
/// that isn't named here.
const EDGES: &[(&str, &[&str])] = &[
    ("pynenc-core", &[]),
    ("pynenc-macros", &[]),
    ("pynenc-engine", &["pynenc-core"]),
    ("pynenc-kv", &["pynenc-core"]),
    ("pynenc-mem", &["pynenc-core", "pynenc-kv"]),
    ("pynenc-redis", &["pynenc-core"]),
    ("pynenc-sqlite", &["pynenc-core", "pynenc-kv"]),
    ("pynenc-metrics", &["pynenc-core", "pynenc-engine"]),
    ("pynenc-otel", &["pynenc-core", "pynenc-engine"]),
    ("pynenc-triggers", &["pynenc-core", "pynenc-engine"]),
    ("pynenc-workflow", &["pynenc-core", "pynenc-engine"]),
    // It shows triggers and workflows.
    ("pynenc-web", &["pynenc-core", "pynenc-engine", "pynenc-triggers", "pynenc-workflow"]),
    (
        "pynenc-builder",
        &[
            "pynenc-core",
            "pynenc-engine",
            "pynenc-mem",
            "pynenc-metrics",
            "pynenc-otel",
            "pynenc-redis",
            "pynenc-sqlite",
            "pynenc-triggers",
            "pynenc-web",
            "pynenc-workflow",
        ],
    ),
    ("pynenc-cli", &["pynenc-builder", "pynenc-core", "pynenc-engine"]),
    ("pynenc", &["pynenc-builder", "pynenc-cli", "pynenc-core", "pynenc-engine", "pynenc-macros"]),
    ("pynenc-testkit", &["pynenc-core", "pynenc-engine"]),
    ("file-broker", &["pynenc-core"]),
];

/// Unpublished crates that may depend on every other crate.
const UNRESTRICTED: &[&str] = &["pynenc-bench", "pynenc-tests"];

/// Crates that would let the core do I/O.
const IO_CRATES: &[&str] = &["async-std", "deadpool", "deadpool-redis", "hyper", "mio", "redis", "reqwest", "socket2"];

/// The features of tokio that the core may use: no sockets, no files, no runtime.
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

/// The dependencies of a crate, without those of its tests.
fn dependencies(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
}

fn core(workspace: &Metadata) -> &Package {
    workspace.packages.iter().find(|package| package.name.as_str() == "pynenc-core").expect("there is a core")
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    let workspace = workspace();
    let members: BTreeSet<_> = workspace.packages.iter().map(|package| package.name.to_string()).collect();
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            let unbound = UNRESTRICTED.contains(&name) || is_example(package);
            assert!(unbound, "add the crate `{name}` to EDGES, with the crates that it may depend on");
            continue;
        };
        let used = dependencies(package).filter(|dependency| members.contains(&dependency.name));
        wrong.extend(
            used.filter(|dependency| !allowed.contains(&dependency.name.as_str()))
                .map(|dependency| format!("{name} depends on {}", dependency.name)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_backend_is_compiled_only_with_its_feature() {
    let workspace = workspace();
    let builder = workspace.packages.iter().find(|package| package.name.as_str() == "pynenc-builder");
    let backends = [
        "pynenc-mem",
        "pynenc-metrics",
        "pynenc-otel",
        "pynenc-redis",
        "pynenc-sqlite",
        "pynenc-triggers",
        "pynenc-web",
        "pynenc-workflow",
    ];
    let always = dependencies(builder.expect("there is a builder")).filter(|dependency| !dependency.optional);
    let always: Vec<_> = always.filter(|dependency| backends.contains(&dependency.name.as_str())).collect();
    assert!(always.is_empty(), "{always:#?}");
}

#[test]
fn the_command_line_is_compiled_only_with_its_feature() {
    let workspace = workspace();
    let package = |name| workspace.packages.iter().find(|package| package.name.as_str() == name).expect("it is there");
    let requires = |package: &Package, name: &str| dependencies(package).any(|it| it.name == name && !it.optional);
    assert!(!requires(package("pynenc"), "pynenc-cli"));
    assert_eq!(package("pynenc").features["default"], ["mem"]);
    for library in ["pynenc-core", "pynenc-engine", "pynenc-builder", "pynenc"] {
        for heavy in ["clap", "comfy-table", "indicatif", "tracing-subscriber"] {
            assert!(!requires(package(library), heavy), "{library} requires {heavy}");
        }
    }
}

#[test]
fn the_core_does_no_io() {
    let workspace = workspace();
    for dependency in dependencies(core(&workspace)) {
        assert!(!IO_CRATES.contains(&dependency.name.as_str()), "the core depends on {}", dependency.name);
        if dependency.name == "tokio" {
            assert_eq!(dependency.features, CORE_TOKIO_FEATURES);
            assert!(!dependency.uses_default_features);
        }
    }
}

#[test]
fn packages_have_complete_manifests() {
    let workspace = workspace();
    for package in &workspace.packages {
        let (name, published) = (&package.name, is_published(package));
        let manifest = fs::read_to_string(&package.manifest_path).expect("a manifest is text");
        for line in ["version", "edition", "rust-version", "license"] {
            let line = format!("{line}.workspace = true");
            // An example may show a library that needs a newer Rust.
            let is_own = line.starts_with("rust-version") && is_example(package);
            assert!(manifest.contains(&line) || is_own, "{name}: no `{line}`");
        }
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name}: doesn't inherit the workspace's lints");
        assert!(package.description.as_ref().is_some_and(|text| text.len() > 20), "{name}: no description");
        let is_library = EDGES.iter().any(|(library, _)| library == &name.as_str()) && !is_example(package);
        assert_eq!(published, is_library, "{name}: only libraries are published");
        if published {
            assert!(package.repository.is_some(), "{name}: no repository");
            assert!((1..=5).contains(&package.keywords.len()), "{name}: give one to five keywords");
            assert!(!package.categories.is_empty(), "{name}: no categories");
            for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
                let file = package.manifest_path.with_file_name(license);
                assert!(fs::read_to_string(&file).is_ok_and(|text| text.len() > 500), "{name}: no {license}");
            }
            let documents_features = manifest.contains("[package.metadata.docs.rs]\nall-features = true");
            assert!(package.features.is_empty() || documents_features, "{name}: docs.rs must document all features");
        }
    }
}

#[test]
fn a_published_crate_depends_only_on_published_crates() {
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
        assert!(wrong.is_empty(), "{} depends on {wrong:?}", package.name);
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
        assert!(tests > 0, "{name}: the example has no test");
    }
}

/// The Rust sources below a directory.
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
fn no_stub_and_no_ignored_test_is_left() {
    let mut files = Vec::new();
    ["crates", "examples", "tests"].iter().for_each(|directory| sources(&root().join(directory), &mut files));
    assert!(files.len() > 100, "the sources are found");
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let attribute = format!("#[{}", "ignore");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source is text");
        for left in macros.iter().chain([&attribute]) {
            assert!(!text.contains(left.as_str()), "{} contains `{left}`", file.display());
        }
    }
}

#[test]
fn files_import_in_one_direction() {
    let mut cycles = Vec::new();
    for package in &workspace().packages {
        for target in
            package.targets.iter().filter(|target| target.is_lib() || target.is_bin() || target.is_proc_macro())
        {
            let imports = imports::read(target.src_path.as_std_path());
            for files in imports::cycles(&imports) {
                cycles.push(imports::describe(&files, &imports));
            }
        }
    }
    assert!(
        cycles.is_empty(),
        "files import each other; move what they share into a file of its own:\n{}",
        cycles.join("\n")
    );
}

#[test]
fn the_component_traits_stay_small() {
    let core = root().join("crates/pynenc-core/src");
    let mut files = Vec::new();
    sources(&core, &mut files);
    let parsed = files.iter().map(|file| syn::parse_file(&fs::read_to_string(file).expect("a source is text")));
    let mut methods = BTreeMap::new();
    for item in parsed.flat_map(|file| file.expect("a source is Rust").items) {
        if let syn::Item::Trait(item) = item {
            let count = item.items.iter().filter(|item| matches!(item, syn::TraitItem::Fn(_))).count();
            methods.insert(item.ident.to_string(), count);
        }
    }
    let components = [
        "ArgCache",
        "Broker",
        "Component",
        "Lane",
        "Lifecycle",
        "Orchestrator",
        "Outbox",
        "Retention",
        "Runners",
        "StateBackend",
        "TriggerStore",
        "Waiting",
    ];
    let total: usize = components.iter().map(|name| methods[*name]).sum();
    assert!(total <= 60, "the component traits have {total} methods; each backend has to implement them: {methods:?}");
}

/// The beginnings that make a sentence hard to read: its subject isn't a thing of the system.
const OBSCURE_BEGINNINGS: [&str; 7] = ["What ", "Who ", "Those ", "Whoever ", "Whom ", "Of what ", "That which "];

#[test]
fn comments_name_their_subject() {
    let mut files = Vec::new();
    ["crates", "examples", "tests"].iter().for_each(|directory| sources(&root().join(directory), &mut files));
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source is text");
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("//")) {
            let sentence = line.trim_start_matches(['/', '!', ' ']);
            if OBSCURE_BEGINNINGS.iter().any(|beginning| sentence.starts_with(beginning)) {
                found.push(format!("{}: {sentence}", file.strip_prefix(root()).unwrap_or(&file).display()));
            }
        }
    }
    assert!(found.len() <= 25, "{} comments begin without a subject:\n{}", found.len(), found.join("\n"));
}
