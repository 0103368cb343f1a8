//! The two programs, as a user starts them.

#![cfg(unix)]

use std::process::Command;

use pynenc_testkit::{RedisServer, TestProcess};

#[test]
fn a_producer_reads_what_workers_made() {
    let server = RedisServer::start();
    let port = server.port().to_string();
    let program = |path: &str| {
        let mut command = Command::new(path);
        command.env("PYNENC__REDIS__REDIS_PORT", &port);
        command
    };
    let mut worker = TestProcess::start(program(env!("CARGO_BIN_EXE_worker")).arg("worker"));
    let output = program(env!("CARGO_BIN_EXE_producer")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["2 + 3 = 5, says process", "200 sums came from", "15 words, by way of", "paused", "success"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    let listed = program(env!("CARGO_BIN_EXE_worker")).args(["invocations", "--status", "success"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("redis_workers::count_all_words"));
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}
