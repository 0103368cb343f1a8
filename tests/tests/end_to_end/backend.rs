//! The backends of the end-to-end tests. Each test in `on_each_backend!` runs in memory under virtual time, and over
//! Redis and over SQLite with a client and a runner that share only the server or the file.

use std::ops::Deref;
use std::sync::LazyLock;

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::RedisServer;
use tempfile::TempDir;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// A backend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Memory,
    Redis,
    Sqlite,
}

/// An app with its runner, from the client's side.
pub(crate) enum App {
    Memory(TestApp),
    Redis(Pynenc, #[expect(dead_code, reason = "the runner stops when it is dropped")] RunnerHandle),
    Sqlite(
        Pynenc,
        #[expect(dead_code, reason = "the runner stops when it is dropped")] RunnerHandle,
        #[expect(dead_code, reason = "the folder is removed when it is dropped")] TempDir,
    ),
}

/// An app without a runner.
pub(crate) struct Client {
    app: Pynenc,
    /// Is removed when it is dropped.
    _folder: TempDir,
}

impl Deref for Client {
    type Target = Pynenc;

    fn deref(&self) -> &Pynenc {
        &self.app
    }
}

impl Deref for App {
    type Target = Pynenc;

    fn deref(&self) -> &Pynenc {
        match self {
            Self::Memory(app) => app,
            Self::Redis(app, _) | Self::Sqlite(app, ..) => app,
        }
    }
}

impl Backend {
    /// Creates an empty app and its runner.
    pub(crate) async fn app(self, configure: impl Fn(PynencBuilder) -> PynencBuilder) -> App {
        match self {
            Self::Memory => App::Memory(TestApp::with(configure).await.unwrap()),
            Self::Redis => {
                let app_id = pynenc::InvocationId::new().to_string();
                let one = || configure(Pynenc::builder().without_config_file().environment([]).redis(&SERVER.url()));
                let client = one().app_id(&app_id).build().await.unwrap();
                let worker = one().app_id(&app_id).build().await.unwrap();
                App::Redis(client, worker.start_runner().await.unwrap())
            }
            Self::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("jobs.db");
                let one = || configure(Pynenc::builder().without_config_file().environment([]).sqlite(&path));
                let client = one().build().await.unwrap();
                // Other settings of the file make other connections, as in another process.
                let worker = one().set("sqlite.checkpoint", "off").build().await.unwrap();
                App::Sqlite(client, worker.start_runner().await.unwrap(), folder)
            }
        }
    }
}

impl Backend {
    /// Creates an empty app without a runner.
    pub(crate) async fn client(self, configure: impl Fn(PynencBuilder) -> PynencBuilder) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let builder = configure(Pynenc::builder().without_config_file().environment([]));
        let builder = match self {
            Self::Memory => builder.memory(),
            Self::Redis => builder.redis(&SERVER.url()).app_id(&pynenc::InvocationId::new().to_string()),
            Self::Sqlite => builder.sqlite(folder.path().join("jobs.db")),
        };
        Client { app: builder.build().await.unwrap(), _folder: folder }
    }
}

impl App {
    /// Waits until an invocation has a status.
    pub(crate) async fn reaches<T: Task>(&self, invocation: &Invocation<T>, status: Status) {
        while invocation.status().await.unwrap() != status {
            tokio::task::yield_now().await;
        }
    }
}

/// The duration of an invocation's last period in a status.
pub(crate) async fn time_in<T: Task>(invocation: &Invocation<T>, status: Status) -> std::time::Duration {
    let history = invocation.history().await.unwrap();
    let index = history.iter().rposition(|entry| entry.status == status).unwrap();
    history[index + 1].at.since(history[index].at)
}

/// Defines each of these tests for each backend.
macro_rules! on_each_backend {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(crate::backend::Backend::Memory).await; })+
        }
        mod redis {
            $(#[tokio::test] async fn $name() { super::$name(crate::backend::Backend::Redis).await; })+
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::backend::Backend::Sqlite).await; })+
        }
    };
}
pub(crate) use on_each_backend;
