//! Tests of commands that change invocations.

use serde_json::{Value, json};

use crate::program::Program;

fn submitted(program: &Program, count: usize) -> Vec<String> {
    let call = || program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#])["invocation"].clone();
    (0..count).map(|_| call().as_str().unwrap().to_owned()).collect()
}

fn statuses(program: &Program) -> Vec<String> {
    let listed = program.json(&["invocations", "--oldest-first"]);
    listed.as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
}

fn length(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

#[test]
fn selected_invocations_are_cancelled_and_retried() {
    let program = Program::on_redis();
    let ids = submitted(&program, 3);
    let dry = program.json(&["cancel", "--task", "add", "--dry-run"]);
    assert_eq!((&dry["would"], length(&dry["invocations"])), (&json!("cancel"), 3));
    assert_eq!(statuses(&program), ["registered"; 3], "a dry run cancels nothing");
    assert_eq!(program.json(&["cancel", &ids[0]]), json!([{"invocation": ids[0], "ended": true}]));
    assert_eq!(length(&program.json(&["cancel", "--task", "add", "--status", "registered"])), 2);
    assert_eq!(statuses(&program), ["cancelled"; 3]);
    let retried = program.json(&["retry", &ids[2]]);
    let again = retried[0]["retried_as"].as_str().unwrap();
    assert_eq!(program.json(&["show", again])["retry_of"], json!(ids[2]));
    assert_eq!(length(&program.json(&["retry", "--status", "cancelled", "--since", "1h"])), 3);
    let waiting = statuses(&program).iter().filter(|status| *status == "registered").count();
    assert_eq!(waiting, 3, "the repeated retry reuses the first one");
    assert_eq!(length(&program.json(&["retry", "--status", "running"])), 0, "running invocations aren't retried");
}

#[test]
fn each_failure_is_reported() {
    let program = Program::on_redis();
    let ids = submitted(&program, 1);
    let unknown = pynenc::InvocationId::new().to_string();
    let ran = program.run(&["retry", &ids[0], &unknown]);
    ran.check(1, "only a finished one can be retried");
    ran.check(1, &format!("there is no invocation {unknown}"));
    assert!(ran.out.contains("0 of 2 invocations"), "{ran:?}");
    program.run(&["cancel", &unknown]).check(5, "there is no invocation");
    program.run(&["cancel"]).check(1, "a filter such as --status, --task or --since");
    program.run(&["cancel", &ids[0], "--task", "add"]).check(2, "cannot be used with");
}

#[pynenc::task(name = "cli_app::add")]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[test]
fn bulk_changes_span_several_pages() {
    let program = Program::on_redis();
    let count = 1_203;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let app = program.app().await;
        let arguments = json!({"x": 1, "y": 2}).as_object().cloned().unwrap();
        let call = app.call_by_name(add::NAME, &arguments).await.unwrap();
        let calls = (0..count).map(|_| (pynenc::InvocationId::new(), call.clone())).collect();
        app.submit_encoded(calls).await.unwrap();
    });
    let ran = program.run(&["cancel", "--task", "add"]);
    assert!(ran.out.contains("1203 of 1203 invocations"), "{ran:?}");
    assert_eq!(length(&program.json(&["retry", "--status", "cancelled"])), count);
}

#[test]
fn a_purge_needs_confirmation() {
    let program = Program::on_redis();
    submitted(&program, 2);
    program.run(&["purge"]).check(1, "--yes");
    assert_eq!(statuses(&program).len(), 2);
    assert_eq!(program.json(&["purge", "--yes"])["purged"], 2);
    assert_eq!(program.run(&["invocations"]).out, "no invocations found\n");
}
