//! Tests of the setting `sqlite.path` and of files that can't be used, as a program sees them.

use std::fs;
use std::path::Path;

use pynenc::PynencBuilder;
use pynenc::prelude::*;

#[task]
async fn doubled(number: u32) -> u32 {
    2 * number
}

/// An app of one task, without other settings than those of a test.
fn builder() -> PynencBuilder {
    let builder = Pynenc::builder().without_config_file().environment([]);
    builder.without_linked_tasks().tasks(tasks![doubled])
}

/// Checks that an app on this path can't be built, and that the error says why.
async fn check(path: impl AsRef<Path>, part: &str) {
    let error = builder().sqlite(path).build().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test]
async fn a_path_that_is_no_usable_file_fails_the_build_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("notes.txt"), "not a database").unwrap();
    check("", "set `sqlite.path`").await;
    check(folder.path(), "this is a folder").await;
    check(path("jobs.db/"), "this is a folder").await;
    check(path("missing/jobs.db"), "create it, or correct the setting").await;
    check(path("notes.txt"), "isn't a SQLite database").await;
    assert_eq!(fs::read_to_string(path("notes.txt")).unwrap(), "not a database");
    assert!(!path("jobs.db").exists());
}

#[tokio::test]
async fn a_path_that_is_not_unicode_is_refused_instead_of_changed() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    check(folder.path().join(std::ffi::OsStr::from_bytes(b"jobs\xff.db")), "valid Unicode").await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_variable_replaces_the_path_of_the_builder() {
    let folder = tempfile::tempdir().unwrap();
    let variable = folder.path().join("variable.db").to_str().unwrap().to_owned();
    let variables = [("PYNENC__SQLITE__PATH".to_owned(), variable)];
    let app = builder().environment(variables).sqlite(folder.path().join("code.db")).build().await.unwrap();
    app.submit(doubled(1)).await.unwrap();
    assert!(folder.path().join("variable.db").exists());
    assert!(!folder.path().join("code.db").exists());
}

#[tokio::test]
async fn two_apps_of_one_file_run_only_their_own_calls() {
    let folder = tempfile::tempdir().unwrap();
    let app = |id: &str| builder().sqlite(folder.path().join("jobs.db")).app_id(id).build();
    let (shop, mail) = (app("shop").await.unwrap(), app("mail").await.unwrap());
    let waits = mail.submit(doubled(1)).await.unwrap();
    let _runner = shop.start_runner().await.unwrap();
    assert_eq!(shop.submit(doubled(2)).await.unwrap().result().await.unwrap(), 4);
    assert_eq!(waits.status().await.unwrap(), Status::Registered);
    assert!(matches!(shop.status(waits.id()).await, Err(Error::InvocationNotFound(_))));
    let _runner = mail.start_runner().await.unwrap();
    assert_eq!(waits.result().await.unwrap(), 2);
}
