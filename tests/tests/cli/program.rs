//! The program under test, in a folder of its own, on a server that the tests share.

use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use pynenc_testkit::{RedisServer, TestProcess};
use serde_json::Value;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// A program, and the app that its environment describes.
pub(crate) struct Program {
    path: &'static str,
    app_id: String,
    variables: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl Program {
    /// The program with tasks, with an app of its own on Redis.
    pub(crate) fn on_redis() -> Self {
        let components = [
            ("PYNENC__ORCHESTRATOR_CLS", "RedisOrchestrator"),
            ("PYNENC__BROKER_CLS", "RedisBroker"),
            ("PYNENC__STATE_BACKEND_CLS", "RedisStateBackend"),
            ("PYNENC__TRIGGER_STORE_CLS", "RedisTriggerStore"),
        ];
        let mut program = Self::in_memory();
        program.variables = components.map(|(name, class)| (name, class.to_owned())).into();
        program.variables.push(("PYNENC__REDIS__REDIS_URL", SERVER.url()));
        program.variables.push(("PYNENC__REDIS__START_CHECK", "off".to_owned()));
        program
    }

    /// The program with tasks, without settings.
    pub(crate) fn in_memory() -> Self {
        let app_id = pynenc::InvocationId::new().to_string();
        let folder = tempfile::tempdir().expect("a test may make a folder");
        Self { path: env!("CARGO_BIN_EXE_commanded-app"), app_id, variables: Vec::new(), folder }
    }

    /// With a variable more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Writes `pynenc.toml`.
    pub(crate) fn with_file(self, content: &str) -> Self {
        std::fs::write(self.folder.path().join("pynenc.toml"), content).expect("a test may write to its folder");
        self
    }

    /// The same app in this process, without its tasks' program.
    pub(crate) async fn app(&self) -> pynenc::Pynenc {
        let variables = self.variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let builder = pynenc::Pynenc::builder().without_config_file().environment(variables);
        builder.argument("app_id", &self.app_id).build().await.expect("the app can be made")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PYNENC__APP_ID", &self.app_id).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What a command answers.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program can be started");
        let text = |bytes| String::from_utf8(bytes).expect("it writes text");
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// What a command that has to succeed answers, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// A command in the background, with its output in files of the folder.
    pub(crate) fn start(&self, arguments: &[&str]) -> TestProcess {
        let file = |name| std::fs::File::create(self.folder.path().join(name)).expect("a test may write to its folder");
        let mut command = self.command(arguments);
        TestProcess::start(command.stdout(file("out")).stderr(file("err")))
    }

    /// Waits until something is in a file of the folder, and gives all of it.
    pub(crate) fn until_written(&self, name: &str, part: &str) -> String {
        loop {
            let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            if text.contains(part) {
                return text;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Checks the code, and that this was told on standard error.
    pub(crate) fn check(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(part), "{part} in {self:?}");
    }
}
