//! Tests of `workflows`.

use serde_json::json;

use crate::program::Program;

#[test]
fn a_workflow_run_is_listed_and_shown_with_its_journal() {
    let program = Program::on_redis();
    let _worker = program.start(&["worker"]);
    let id = program.json(&["call", "counts", "--args", r#"{"n": 7}"#, "--wait"])["invocation"].clone();
    let id = id.as_str().unwrap();
    let runs = program.json(&["workflows", "runs", "--type", "counts", "--status", "success"]);
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["id"]), (1, &json!(id)));
    assert_eq!(program.json(&["workflows", "runs", "--status", "failed"]), json!([]));
    let journal = program.json(&["workflows", "journal", id]);
    let steps: Vec<_> = journal.as_array().unwrap().iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert_eq!(steps, ["execute", "step"]);
    assert_eq!((&journal[1]["name"], &journal[1]["value"]), (&json!("double"), &json!(16)));
    let tree = program.run(&["workflows", "tree", id]).out;
    assert!(tree.lines().count() == 2 && tree.contains("::add (success)"), "{tree}");
    let file = program.run(&["workflows", "export", id]).out;
    let history: pynenc::workflows::History = serde_json::from_str(&file).unwrap();
    assert_eq!(history.invocation.to_string(), id);
    let unknown = pynenc::InvocationId::new().to_string();
    program.run(&["workflows", "journal", &unknown]).check(5, "there is no invocation");
}
