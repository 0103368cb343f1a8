//! Tests that no error, `Debug` output, trace log or command shows a password.

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "hunter2-and-more";
const COMPONENTS: [&str; 4] = ["Orchestrator", "Broker", "StateBackend", "TriggerStore"];

#[task]
async fn double(n: u64) -> u64 {
    n * 2
}

/// Collects the log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Fails if a text contains the secret or its first part.
#[track_caller]
fn check(what: &str, text: &str) {
    assert!(!text.contains(SECRET) && !text.contains("hunter2"), "{what} shows the password: {text}");
}

fn locked() -> RedisServer {
    RedisServer::start_with(RedisServerOptions { password: Some(SECRET.into()), ..RedisServerOptions::default() })
}

/// Valid and invalid settings with the secret, each with a description.
fn addresses(server: &RedisServer) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let port = server.port();
    let url = |url: String| vec![("REDIS_URL", url)];
    vec![
        ("in the address", url(format!("redis://:{SECRET}@127.0.0.1:{port}/0"))),
        ("a wrong one", url(format!("redis://:{SECRET}-wrong@127.0.0.1:{port}/0"))),
        ("a wrong user", url(format!("redis://ana:{SECRET}@127.0.0.1:{port}/0"))),
        ("no TLS there", url(format!("rediss://:{SECRET}@127.0.0.1:{port}/0"))),
        ("no host", url(format!("redis://:{SECRET}@no-such-host.invalid:{port}/0"))),
        ("no port", url(format!("redis://:{SECRET}@127.0.0.1:1/0"))),
        ("a wrong database", url(format!("redis://:{SECRET}@127.0.0.1:{port}/99"))),
        ("no number", url(format!("redis://:{SECRET}@127.0.0.1:{SECRET}/0"))),
        ("no address", url(format!("127.0.0.1 {SECRET}"))),
        (
            "in parts",
            vec![
                ("REDIS_HOST", "127.0.0.1".into()),
                ("REDIS_PORT", port.to_string()),
                ("REDIS_PASSWORD", SECRET.into()),
            ],
        ),
        ("beside a wrong part", vec![("REDIS_PASSWORD", SECRET.into()), ("REDIS_PORT", "none".into())]),
        ("under a name with a slip", vec![("REDIS_PASSWORT", SECRET.into())]),
    ]
}

fn variables(settings: &[(&str, String)]) -> Vec<(String, String)> {
    let classes = COMPONENTS.map(|kind| {
        let key = kind.replace("StateBackend", "STATE_BACKEND").replace("TriggerStore", "TRIGGER_STORE");
        (format!("PYNENC__{}_CLS", key.to_uppercase()), format!("Redis{kind}"))
    });
    let quick = ("PYNENC__REDIS__CONNECT_TIMEOUT".to_owned(), "1s".to_owned());
    let settings = settings.iter().map(|(key, value)| (format!("PYNENC__REDIS__{key}"), value.clone()));
    classes.into_iter().chain([quick]).chain(settings).collect()
}

#[tokio::test]
async fn no_output_of_a_process_contains_the_password() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = locked();
    let mut worked = 0;
    for (what, settings) in addresses(&server) {
        let variables = variables(&settings);
        let builder =
            Pynenc::builder().without_linked_tasks().without_config_file().environment(variables).tasks(tasks![double]);
        check(what, &format!("{builder:?} {:?}", builder.explain()));
        match builder.build().await {
            Ok(app) => {
                check(what, &format!("{app:?} {:?} {:?}", app.explain(), app.parts()));
                let runner = app.start_runner().await.unwrap();
                let invocation = app.submit(double(4)).await.unwrap();
                assert_eq!(invocation.result().await.unwrap(), 8);
                check(what, &format!("{invocation:?} {:?}", app.why(invocation.id()).await));
                runner.shutdown().await.unwrap();
                worked += 1;
            }
            Err(error) => check(what, &format!("{error:?} {error} {error:#?}")),
        }
    }
    assert_eq!(worked, 2, "only the correct address and the correct parts connect");
    // The password's user loses permissions while a worker runs.
    let url = format!("redis://:{SECRET}@127.0.0.1:{}/0", server.port());
    let app = Pynenc::builder()
        .without_linked_tasks()
        .without_config_file()
        .environment([])
        .app_id("changed")
        .tasks(tasks![double])
        .redis(&url);
    let app = app.build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    server.command(&["ACL", "SETUSER", "default", &format!(">{SECRET}"), "-@all", "+auth", "+acl", "+client"]);
    let error = app.submit(double(1)).await.unwrap_err();
    check("revoked permissions", &format!("{error:?} {error}"));
    tokio::time::sleep(millis(200)).await;
    runner.shutdown().await.unwrap();
    let text = log.text();
    assert!(text.contains("pynenc"), "the log is empty: {text}");
    check("the log", &text);
}

#[test]
fn no_command_prints_the_password() {
    let server = locked();
    for (what, settings) in addresses(&server) {
        for words in ["config", "config --json", "check", "check --json", "queues", "worker", "call double", "why x"] {
            if words == "worker" && ["in the address", "in parts"].contains(&what) {
                continue; // this worker would run until it is stopped
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_cli-app"));
            command.args(words.split(' ')).envs(variables(&settings)).current_dir(server.folder());
            let output = command.env("PYNENC__LOGGING__LEVEL", "trace").env("RUST_BACKTRACE", "1").output().unwrap();
            let text = [&output.stdout[..], &output.stderr].concat();
            check(&format!("{what}, `{words}`"), &String::from_utf8_lossy(&text));
        }
    }
    let file = format!("[redis]\nredis_password = {SECRET}\nredis_url = \"redis://:{SECRET}@127.0.0.1:x/0\"\n");
    std::fs::write(server.folder().join("pynenc.toml"), file).unwrap();
    for words in ["config", "check", "queues"] {
        let output = Command::new(env!("CARGO_BIN_EXE_cli-app"))
            .args(words.split(' '))
            .current_dir(server.folder())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        check(words, &String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
}
