//! Tests of `worker`.

use serde_json::{Value, json};

use crate::program::Program;

#[test]
fn a_worker_prints_its_queues_and_runs_their_calls() {
    let program = Program::on_redis();
    let mut worker = program.start(&["worker", "--concurrency", "3", "--queues", "default,gpu"]);
    let output = worker.wait_for_stdout("::stays");
    assert!(
        output.contains("3 at once") && output.contains("default, gpu") && output.contains("RedisOrchestrator"),
        "{output}"
    );
    let value = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--queue", "gpu", "--wait"]);
    assert_eq!(value["value"], 3);
    let id = value["invocation"].as_str().unwrap();
    assert_eq!(program.json(&["show", id])["result"], 3);
    let runners = program.json(&["runners"]);
    assert_eq!((&runners[0]["state"], &runners[0]["serves"]["slots"]), (&json!("alive"), &json!(3)));
    let tasks = runners[0]["serves"]["tasks"].to_string();
    assert!(tasks.contains("::add") && tasks.contains("::fails"), "{tasks}");
    check_triggers(&program);
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}

/// Checks that schedules are listed in words, with their next times in their time zone.
fn check_triggers(program: &Program) {
    let triggers = program.json(&["triggers"]);
    assert!(triggers[0]["when"].as_str().unwrap().contains("greeted"), "{triggers}");
    assert_eq!(triggers[0]["schedules"], json!([]));
    let schedule = &triggers[1]["schedules"][0];
    let words = "at 00:00 on day 13 of the month or on Friday";
    assert_eq!((&schedule["words"], &schedule["timezone"]), (&json!(words), &json!("Europe/Madrid")));
    let next: Vec<_> = schedule["next"].as_array().unwrap().iter().map(|slot| slot["local"].clone()).collect();
    assert!(next.len() == 5 && next.iter().all(|slot| slot.as_str().unwrap().ends_with("[Europe/Madrid]")), "{next:?}");
    let id = triggers[1]["id"].as_str().unwrap();
    let table = program.run(&["triggers"]).out;
    assert!(table.contains(words) && table.contains(next[4].as_str().unwrap()), "{table}");
    let slots = program.json(&["triggers", "next", id]);
    let local: Vec<_> = slots.as_array().unwrap().iter().map(|slot| slot["local"].clone()).collect();
    assert_eq!((&local, &slots[0]["words"]), (&next, &json!(words)));
    let table = program.run(&["triggers", "next", id, "-n", "2"]).out;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 3 && lines[1].contains(words) && lines[1].contains("T00:00:00+0"), "{table}");
    let greets = triggers[0]["id"].as_str().unwrap();
    assert_eq!(program.run(&["triggers", "next", greets]).out, "the trigger has no schedule\n");
}

#[test]
fn a_worker_warns_about_an_ambiguous_schedule() {
    let program = Program::on_redis().with("PYNENC__LOGGING__FORMAT", "json");
    let mut worker = program.start(&["worker"]);
    worker.wait_for_stdout("::stays");
    let logged = worker.wait_for_stderr("APScheduler");
    let warned: Vec<Value> = logged.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let about = |part: &str| {
        let of =
            |line: &&Value| line["level"] == "WARN" && line["message"].as_str().is_some_and(|it| it.contains(part));
        warned.iter().filter(of).filter(|line| line["trigger"].as_str().unwrap().contains("::reports@")).count()
    };
    assert_eq!(
        (about(".both_days()"), about("Write `0 0 13 * FRI`")),
        (1, 1),
        "the schedule has one warning: {logged}"
    );
}

#[test]
fn a_running_invocation_is_cancelled_through_its_runner() {
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
    let said: Value = serde_json::from_str(&worker.wait_for_stdout("}")).unwrap();
    assert_eq!(said["runner"], "ProcessRunner", "only the supervisor prints its settings");
    assert_eq!(program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["value"], 3);
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}

#[test]
fn failed_invocations_are_found_by_their_error() {
    let program = Program::on_redis();
    let _worker = program.start(&["worker"]);
    for why in ["No Paper left", "no ink"] {
        let arguments = serde_json::json!({ "why": why }).to_string();
        program.run(&["call", "fails", "--args", &arguments, "--wait"]).check(6, why);
    }
    let found = program.json(&["invocations", "--status", "failed", "--error", "no paper"]);
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let both = program.json(&["retry", "--error", "no ", "--dry-run"]);
    assert_eq!(both["invocations"].as_array().unwrap().len(), 2, "{both}");
}
