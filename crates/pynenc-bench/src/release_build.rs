//! The time of a release build from scratch, and the number of crates in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pynenc::prelude::*;

use crate::measurement::Measurement;

/// The features of an app on Redis with triggers and workflows.
const APP: [&str; 4] = ["-p", "pynenc", "--features", "redis,triggers,workflow"];

/// Measures a release build with an empty target folder, and counts its crates.
pub(crate) fn measured() -> Result<Vec<Measurement>> {
    let folder = std::env::temp_dir().join(format!("pynenc-build-{}", std::process::id()));
    let start = Instant::now();
    let built = cargo(&["build", "--release"]).args(APP).env("CARGO_TARGET_DIR", &folder).status();
    let elapsed = start.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&folder).map_err(Error::other)?;
    if !built.map_err(Error::other)?.success() {
        return Err(Error::other("the build failed"));
    }
    let tree = cargo(&["tree", "-e", "normal", "--prefix", "none"]).args(APP).output().map_err(Error::other)?;
    let crates: BTreeSet<_> = str::from_utf8(&tree.stdout).map_err(Error::other)?.lines().map(package).collect();
    let of = |name, value, unit, target| Measurement { name, value, unit, target };
    Ok(vec![of("cold", elapsed, "s", 45.0), of("needs", crates.len() as f64, "crates", 130.0)])
}

/// Turns off the debug information that this workspace adds for profiling, because users' release builds have none.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo.args(arguments).arg("--quiet").current_dir(workspace).env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    cargo
}

/// Removes the marks of `cargo tree` from a line.
fn package(line: &str) -> &str {
    line.trim_end_matches(" (*)").trim_end_matches(" (proc-macro)")
}
