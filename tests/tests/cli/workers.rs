//! `worker`

use serde_json::{Value, json};

use crate::program::Program;

#[test]
fn a_worker_says_what_it_serves_and_runs_it() {
    let program = Program::on_redis();
    let mut worker = program.start(&["worker", "--concurrency", "3", "--queues", "default,gpu"]);
    let told = program.until_written("out", "::stays");
    assert!(
        told.contains("3 at once") && told.contains("default, gpu") && told.contains("RedisOrchestrator"),
        "{told}"
    );
    let value = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--queue", "gpu", "--wait"]);
    assert_eq!(value["value"], 3);
    let id = value["invocation"].as_str().unwrap();
    assert_eq!(program.json(&["show", id])["result"], 3);
    let runners = program.json(&["runners"]);
    assert_eq!((&runners[0]["state"], &runners[0]["serves"]["slots"]), (&json!("alive"), &json!(3)));
    let tasks = runners[0]["serves"]["tasks"].to_string();
    assert!(tasks.contains("::add") && tasks.contains("::fails"), "{tasks}");
    let triggers = program.json(&["triggers"]);
    assert!(triggers[0]["when"].as_str().unwrap().contains("greeted"), "{triggers}");
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}

#[test]
fn what_runs_is_cancelled_through_its_runner() {
    let program = Program::on_redis();
    let _worker = program.start(&["worker"]);
    let running = program.json(&["call", "stays"])["invocation"].as_str().unwrap().to_owned();
    let status = |id: &str| program.json(&["show", id])["invocation"]["status"].clone();
    while status(&running) != "running" {}
    let parked = program.json(&["call", "stays"])["invocation"].as_str().unwrap().to_owned();
    while status(&parked) != "concurrency_controlled" {}
    let why = program.json(&["why", &parked]);
    assert_eq!(why["why"]["holders"], json!([running]));
    program.json(&["cancel", &parked, &running]);
    while status(&running) != "cancelled" {}
    assert_eq!(status(&parked), "cancelled");
}

#[test]
fn a_worker_supervises_processes() {
    let program = Program::on_redis();
    let mut worker = program.start(&["worker", "--processes", "2", "--json"]);
    let alive = || program.json(&["runners"]).as_array().map_or(0, Vec::len);
    while alive() < 2 {}
    let said: Value = serde_json::from_str(&program.until_written("out", "}")).unwrap();
    assert_eq!(said["runner"], "ProcessRunner", "the supervisor alone says what it serves");
    assert_eq!(program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["value"], 3);
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}
