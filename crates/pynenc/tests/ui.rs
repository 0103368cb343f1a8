//! Misuse of `#[task]`, of `#[workflow]` and of triggers is told at the token, in words.
//!
//! What rustc adds of its own differs between its versions: `TRYBUILD=overwrite` writes the files of the current one.

#[test]
fn misuse_is_explained() {
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
