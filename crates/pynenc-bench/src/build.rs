//! How long an app takes to build from nothing, and how many crates it needs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pynenc::prelude::*;

use crate::figures::Measured;

/// What an app over Redis with everything of the table has chosen.
const APP: [&str; 4] = ["-p", "pynenc", "--features", "redis,triggers,workflow"];

/// One cold release build, as an app of one's own would be built, and its crates.
pub(crate) fn measured() -> Result<Vec<Measured>> {
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
    let of = |what, value, unit, target| Measured { what, value, unit, target };
    Ok(vec![of("cold", elapsed, "s", 45.0), of("needs", crates.len() as f64, "crates", 130.0)])
}

/// Release builds of an app have no debugging information, unlike those that are to be profiled here.
fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo.args(arguments).arg("--quiet").current_dir(workspace).env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    cargo
}

/// A line of the tree without its marks.
fn package(line: &str) -> &str {
    line.trim_end_matches(" (*)").trim_end_matches(" (proc-macro)")
}
