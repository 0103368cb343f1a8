//! The command `web`.

use std::io::Write;
use std::process::Stdio;

use pynenc_testkit::TestProcess;
use pynenc_tests::http::Request;
use serde_json::{Value, json};

use crate::program::Program;

/// Starts a server, and returns it with its port.
fn start(program: &Program, options: &[&str]) -> (TestProcess, u16) {
    let mut server = program.start(&[&["web"], options].concat());
    let text = server.wait_for_stdout("is served at http://");
    let address = text.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    (server, port)
}

#[test]
fn the_monitor_is_served_until_the_process_is_stopped() {
    let program = Program::on_sqlite();
    let (mut server, port) = start(&program, &["--listen", "127.0.0.1:0", "--actions"]);
    let call = json!({"task": "add", "arguments": {"x": 1, "y": 2}});
    let accepted = Request::post(port, "/api/v1/invocations", &call).send().unwrap();
    assert_eq!(accepted.status, 201, "{}", accepted.body);
    let page = Request::get(port, "/invocations").send().unwrap();
    assert!(page.status == 200 && page.body.contains(accepted.json()["id"].as_str().unwrap()), "{}", page.body);
    server.signal("TERM");
    server.wait_for_success();
}

#[test]
fn credentials_are_made_for_the_file_of_users() {
    let program = Program::on_sqlite();
    let made = program.json(&["web", "token", "ci", "--role", "operator"]);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("pynenc_"), "{made}");
    let mut command = program.command_of(env!("CARGO_BIN_EXE_cli-app"), &["web", "password", "ann"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
    let line = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(line.starts_with("password ann viewer $argon2id$") && !line.contains("s3cret"), "{line}");

    let file = program.folder().join("users.txt");
    std::fs::write(&file, format!("{line}{}\n", made["line"].as_str().unwrap())).unwrap();
    let (_server, port) = start(&program, &["--listen", "0.0.0.0:0", "--set", "web.credentials_file=users.txt"]);
    let get = |token: &str| {
        let request = Request::get(port, "/api/v1/queues").header("Authorization", &format!("Bearer {token}"));
        request.send().unwrap().status
    };
    assert_eq!((get(token), get("pynenc_0")), (200, 401));
}

#[test]
fn an_address_that_others_can_reach_is_refused_without_users() {
    Program::on_sqlite().run(&["web", "--listen", "0.0.0.0:0"]).check(3, "web.credentials_file");
}

#[test]
fn the_document_of_the_api_is_printed() {
    let ran = Program::in_memory().run(&["web", "openapi"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), pynenc::web::openapi());
}
