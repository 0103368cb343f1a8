//! Tests of the compile errors for misuse of `#[task]`, `#[workflow]` and triggers.
//!
//! The notes of rustc differ between versions. `TRYBUILD=overwrite` updates the expected output for the current
//! version.

#[test]
fn misuse_of_tasks_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[cfg(feature = "triggers")]
#[test]
fn misuse_of_triggers_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui_triggers/*.rs");
}

#[cfg(feature = "workflow")]
#[test]
fn misuse_of_workflows_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui_workflows/*.rs");
}
