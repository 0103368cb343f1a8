//! The scripts of the pages, without a page.

use std::path::Path;
use std::process::Command;

#[test]
fn the_geometry_of_the_timeline_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let output = Command::new("node").arg("--test").arg("geometry.test.mjs").current_dir(folder).output();
    let output = output.expect("`node` can't be started; scripts/test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
