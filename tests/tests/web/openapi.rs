//! The `OpenAPI` document.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::setup::{Site, assert_has, open_to_all};

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json")
}

/// `docs/openapi.json` is the document of this version. `UPDATE_DOCS=1` writes it.
#[test]
fn the_committed_document_is_that_of_the_code() {
    let document = format!("{}\n", serde_json::to_string_pretty(&pynenc::web::openapi()).unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file(), &document).unwrap();
    }
    let committed = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(
        committed == document,
        "docs/openapi.json is old; write it with `UPDATE_DOCS=1 cargo test -p pynenc-tests --test web`"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_with_the_prefix() {
    let site = Site::without_runner(pynenc::web::WebConfig { prefix: "/jobs".into(), ..open_to_all() }).await;
    let document = site.get("/jobs/api/v1/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], "/jobs/api/v1");
    assert_eq!(document["paths"], pynenc::web::openapi()["paths"]);
    site.stop().await;
}

/// Every `$ref` of a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_has_its_schema() {
    let document = pynenc::web::openapi();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let schema = document.pointer(reference.trim_start_matches('#'));
        assert!(schema.is_some(), "{reference} has no schema");
    }
}

#[test]
fn every_endpoint_is_described() {
    let document = pynenc::web::openapi();
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(names.insert(id.to_owned()), "{name}: generators need another operation id than `{id}`");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}");
            assert!(operation["responses"]["default"].is_object(), "{name} has no problem details");
            assert_has(&operation["tags"].to_string(), "\"");
        }
    }
}
