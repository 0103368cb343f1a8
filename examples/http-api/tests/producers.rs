//! Runs the producers in other languages against the program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The running program. It is killed when it is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_http-api"))
            .env("PYNENC__WEB__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn producers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("producers")
}

/// Runs a program, and returns what it prints.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs it"));
    let [text, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{command:?}: {text}{error}");
    text
}

#[test]
fn a_shell_script_submits_a_call() {
    let server = Server::start();
    let printed = run(Command::new("sh").arg(producers().join("producer.sh")).arg(&server.url));
    assert!(printed.contains(r#""finished":true,"status":"success","value":3"#), "{printed}");
    assert!(printed.contains(r#""kind":"Invalid""#) && printed.contains("an argument is missing"), "{printed}");
}

#[test]
fn a_program_in_python_submits_calls() {
    let server = Server::start();
    let printed = run(Command::new("python3").arg(producers().join("producer.py")).arg(&server.url));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "1 + 2 = 3");
    assert!(lines[1].starts_with("1 / 0: ") && lines[1].contains("1 can't be divided by 0"), "{printed}");
    assert!(lines[2].starts_with("IdempotencyConflict: "), "{printed}");
}

#[test]
fn a_program_in_typescript_with_generated_types_submits_calls() {
    let server = Server::start();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/web/node_modules").canonicalize();
    let modules = modules.expect("programs from npm are missing; scripts/test installs them");
    let folder = tempfile::tempdir().unwrap();
    let (at, program) = (folder.path(), |name: &str| modules.join(".bin").join(name));
    std::os::unix::fs::symlink(&modules, at.join("node_modules")).unwrap();
    std::fs::write(at.join("package.json"), r#"{"type": "module"}"#).unwrap();
    std::fs::copy(producers().join("producer.ts"), at.join("producer.ts")).unwrap();
    let document = format!("{}/api/v1/openapi.json", server.url);
    run(Command::new(program("openapi-typescript")).args([&document, "--output", "api.ts"]).current_dir(at));
    let options = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "producer.ts"];
    run(Command::new(program("tsc")).args(options).current_dir(at));
    let printed = run(Command::new("node").arg("producer.js").arg(&server.url).current_dir(at));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "1 + 2 = 3");
    assert!(lines[1].contains("1 can't be divided by 0"), "{printed}");
    assert!(lines[2].starts_with("UnknownTask: "), "{printed}");
}
