//! The time of a release build from scratch, and the number of crates in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use pynenc::prelude::*;

use crate::build_folder::BuildFolder;
use crate::measurement::Measurement;
use crate::peers;
use crate::statistics::median;

/// The features of an app on Redis with triggers and workflows.
const FEATURES: [&str; 3] = ["redis", "triggers", "workflow"];

/// A build to measure: the folder of a manifest, and the arguments that select packages and features.
struct Build {
    name: &'static str,
    folder: PathBuf,
    arguments: Vec<String>,
}

/// The cost of a build.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    /// CPU seconds of cargo and the compilers. They depend less on other load of the machine than the time.
    cpu_seconds: f64,
}

/// Measures a release build of the library, and counts its crates.
pub(crate) fn measured() -> Result<Vec<Measurement>> {
    let arguments = vec!["-p".to_owned(), "pynenc".to_owned(), "--features".to_owned(), FEATURES.join(",")];
    let library = Build { name: "pynenc", folder: env!("CARGO_MANIFEST_DIR").into(), arguments };
    let cost = library.cost()?;
    let of = |name, value, unit, target| Measurement { name, value, unit, target };
    Ok(vec![of("cold", cost.seconds, "s", 45.0), of("needs", library.crates()? as f64, "crates", 130.0)])
}

/// Measures release builds of a small app of this system and of one of apalis, in turns, and prints the ratios.
pub(crate) fn against_apalis(rounds: usize) -> Result<()> {
    let folder = BuildFolder::temporary("pynenc-app");
    write_app(folder.path())?;
    let ours = Build { name: "pynenc", folder: folder.path().to_owned(), arguments: Vec::new() };
    let apalis = Build { name: "apalis", folder: peers::folder_of("apalis"), arguments: vec!["--locked".to_owned()] };
    let mut costs: [Vec<Cost>; 2] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // The other one begins in every second round, so that neither profits from the order.
        for turn in 0..2 {
            let index = (round + turn) % 2;
            let cost = [&ours, &apalis][index].cost()?;
            eprintln!("round {}: {}: {:.1} s", round + 1, [&ours, &apalis][index].name, cost.seconds);
            costs[index].push(cost);
        }
    }
    let crates = [ours.crates()? as f64, apalis.crates()? as f64];
    let medians = |of: fn(&Cost) -> f64| [0, 1].map(|index| median(costs[index].iter().map(of).collect()));
    println!("{:<12} {:>10} {:>10} {:<8} {:>8}", "figure", ours.name, apalis.name, "unit", "ratio");
    report("cold", medians(|cost| cost.seconds), "s", rounds);
    report("CPU time", medians(|cost| cost.cpu_seconds), "s", rounds);
    report("needs", crates, "crates", rounds);
    Ok(())
}

fn report(figure: &str, [ours, apalis]: [f64; 2], unit: &str, rounds: usize) {
    let ratio = ours / apalis;
    println!("{figure:<12} {ours:>10.1} {apalis:>10.1} {unit:<8} {ratio:>8.2}");
    let line = serde_json::json!({
        "figure": format!("build {figure}"), "backend": "this machine", "value": ours, "apalis": apalis, "unit": unit,
        "ratio": ratio, "runs": rounds,
    });
    println!("{line}");
}

/// Writes a package outside of this workspace that uses it, as an app of a user does. It has the locked versions of this
/// workspace.
fn write_app(folder: &Path) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().map_err(Error::other)?;
    let manifest = manifest(&workspace.join("crates/pynenc"));
    fs::create_dir_all(folder.join("src")).map_err(Error::other)?;
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(Error::other)?;
    fs::write(folder.join("Cargo.toml"), manifest).map_err(Error::other)?;
    fs::write(folder.join("src/main.rs"), include_str!("release_build/app.rs")).map_err(Error::other)
}

fn manifest(library: &Path) -> String {
    let tokio = r#"tokio = { version = "1", features = ["macros", "rt-multi-thread"] }"#;
    format!(
        "[package]\nname = \"small-app\"\nedition = \"2024\"\n\n[dependencies]\n\
         pynenc = {{ path = {:?}, default-features = false, features = {FEATURES:?} }}\n{tokio}\n\n[workspace]\n",
        library.display().to_string()
    )
}

impl Build {
    /// Builds into an empty target folder.
    fn cost(&self) -> Result<Cost> {
        let target = BuildFolder::temporary(&format!("pynenc-build-{}", self.name));
        let (start, cpu) = (Instant::now(), children_cpu_seconds());
        let status = self.cargo(&["build", "--release"]).env("CARGO_TARGET_DIR", target.path()).status();
        let seconds = start.elapsed().as_secs_f64();
        if status.map_err(Error::other)?.success() {
            Ok(Cost { seconds, cpu_seconds: children_cpu_seconds() - cpu })
        } else {
            Err(Error::other(format!("the build of {} in {} failed", self.name, self.folder.display())))
        }
    }

    /// Counts the crates of the build for this machine, without those of build scripts.
    fn crates(&self) -> Result<usize> {
        let tree = self.cargo(&["tree", "-e", "normal", "--prefix", "none"]).output().map_err(Error::other)?;
        Ok(count_crates(str::from_utf8(&tree.stdout).map_err(Error::other)?))
    }

    /// Turns off the debug information that this workspace adds for profiling, because users' release builds have none.
    fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(words).args(&self.arguments).arg("--quiet").current_dir(&self.folder);
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "false");
        cargo
    }
}

/// Counts the different packages in the lines of `cargo tree`.
fn count_crates(tree: &str) -> usize {
    tree.lines().map(package).filter(|package| !package.is_empty()).collect::<BTreeSet<_>>().len()
}

/// Removes the marks of `cargo tree` from a line.
fn package(line: &str) -> &str {
    line.trim_end_matches(" (*)").trim_end_matches(" (proc-macro)")
}

/// The CPU seconds of all processes that this one has waited for, and of theirs. Zero on systems without `/proc`.
fn children_cpu_seconds() -> f64 {
    children_ticks(&fs::read_to_string("/proc/self/stat").unwrap_or_default()) / 100.0
}

/// The sum of the fields `cutime` and `cstime` of a `/proc/*/stat` file, in hundredths of a second.
fn children_ticks(stat: &str) -> f64 {
    // The second field is the name of the program, in parentheses. It may contain spaces.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_listed_again_counts_once() {
        let tree = "app v0.1.0 (/app)\nserde v1.0.229\nserde_derive v1.0.229 (proc-macro)\nserde v1.0.229 (*)\n\
            syn v2.0.1\nsyn v3.0.1\n\n";
        assert_eq!(count_crates(tree), 5);
    }

    #[test]
    fn the_time_of_children_is_read_behind_the_name() {
        let stat = "42 (a name) x) S 1 42 42 0 -1 4194560 100 200 0 0 11 12 1300 140 20 0 1 0 5 6 7";
        assert_eq!(children_ticks(stat) as u64, 1440);
        assert_eq!(children_ticks("") as u64, 0);
    }

    #[test]
    fn the_app_uses_the_library_with_the_measured_features() {
        let manifest = manifest(Path::new("/checkout/crates/pynenc"));
        assert!(manifest.contains(r#"path = "/checkout/crates/pynenc""#), "{manifest}");
        assert!(manifest.contains(r#"features = ["redis", "triggers", "workflow"]"#), "{manifest}");
    }
}
