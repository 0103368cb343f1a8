//! The program under test. It has a folder of its own and shares a server with the other tests.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use pynenc_testkit::{RedisServer, TestProcess};
use pynenc_tests::variables::{on_redis, on_sqlite};
use serde_json::Value;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// A program with the environment of an app.
pub(crate) struct Program {
    path: &'static str,
    app_id: String,
    variables: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Program {
    /// Creates the program with an app of its own on Redis.
    pub(crate) fn on_redis() -> Self {
        let mut program = Self::in_memory();
        program.variables = on_redis(&program.app_id, &SERVER.url(), &[("REDIS__START_CHECK", "off")]);
        program
    }

    /// Creates the program with an app in a file of its own.
    pub(crate) fn on_sqlite() -> Self {
        let mut program = Self::in_memory();
        program.variables = on_sqlite("fleet", "jobs.db", &[]);
        program.variables.remove("PYNENC__APP_ID");
        program
    }

    /// Creates the program without settings.
    pub(crate) fn in_memory() -> Self {
        let app_id = pynenc::InvocationId::new().to_string();
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        Self { path: env!("CARGO_BIN_EXE_cli-app"), app_id, variables: BTreeMap::new(), folder }
    }

    /// Adds an environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Replaces a file by one that no program can read.
    pub(crate) fn with_garbage(self, name: &str) -> Self {
        std::fs::write(self.folder.path().join(name), "garbage ".repeat(1000)).expect("the file can be written");
        self
    }

    /// Writes `pynenc.toml`.
    pub(crate) fn with_file(self, content: &str) -> Self {
        std::fs::write(self.folder.path().join("pynenc.toml"), content).expect("the file can be written");
        self
    }

    /// Builds the same app in this process, without the program's tasks.
    pub(crate) async fn app(&self) -> pynenc::Pynenc {
        let builder = pynenc::Pynenc::builder().without_config_file().environment(self.variables.clone());
        builder.argument("app_id", &self.app_id).build().await.expect("the app can be built")
    }

    /// The folder of the program.
    #[cfg(unix)]
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(self.path, arguments)
    }

    /// The command of another program, in the folder and the environment of this one. `PROGRAM` is the path of this one.
    pub(crate) fn command_of(&self, path: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(path);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PYNENC__APP_ID", &self.app_id).env("PROGRAM", self.path).envs(&self.variables);
        command
    }

    /// Runs a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program can be started");
        let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Runs a command that must succeed, and parses its output as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Starts a command in the background.
    pub(crate) fn start(&self, arguments: &[&str]) -> TestProcess {
        TestProcess::start(&mut self.command(arguments))
    }
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Checks the exit code, and that standard error contains a text.
    pub(crate) fn check(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(part), "{part} in {self:?}");
    }
}
