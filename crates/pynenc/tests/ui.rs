//! Misuse of `#[task]` is told at the token, in words.
//!
//! What rustc adds of its own differs between its versions: `TRYBUILD=overwrite` writes the files of the current one.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
