//! The app of the tests and its server.

use std::time::Duration;

use pynenc::prelude::*;
use pynenc::web::{Web, WebConfig};
use pynenc::{RunnerHandle, tasks};
use pynenc_tests::http::{Request, Response};
use serde_json::Value;
use tokio::task::JoinHandle;

#[task(name = "web::add")]
pub(crate) async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[task(name = "web::fail")]
pub(crate) async fn fail(secret: String) -> Result<(), String> {
    Err(format!("no entry for {secret}"))
}

/// Never returns.
#[task(name = "web::hang", running_concurrency = keys(key), reroute_on_concurrency_control)]
pub(crate) async fn hang(key: u32) {
    let _ = key;
    std::future::pending::<()>().await;
}

/// Fails, and is tried again much later.
#[task(name = "web::fail_often", max_retries = 5, backoff = constant("1h"))]
pub(crate) async fn fail_often() -> Result<(), String> {
    Err("not yet".to_owned())
}

/// Never returns; a second call is dropped.
#[task(name = "web::drop_when_busy", running_concurrency = task)]
pub(crate) async fn drop_when_busy() {
    std::future::pending::<()>().await;
}

/// Waits for a call that never returns.
#[task(name = "web::wait_for_hang")]
pub(crate) async fn wait_for_hang(key: u32) -> Result<()> {
    hang(key).await
}

/// An order with parts that take some time, some of them after each other.
#[task(name = "web::shop")]
pub(crate) async fn shop(number: u64) -> Result<()> {
    part("charge".to_owned(), 40 + number % 7 * 20).await?;
    let context = TaskContext::current()?;
    let parts = (1..=3).map(|size| part(format!("pack {size}"), 50 * size));
    context.engine().submit_all(parts).await?.results().await?;
    part("send".to_owned(), 30).await
}

/// A part of an order.
#[task(name = "web::part")]
pub(crate) async fn part(name: String, millis: u64) {
    let _ = name;
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Calls `add` twice.
#[task(name = "web::parent")]
pub(crate) async fn parent() -> Result<i64> {
    Ok(add(1, 2).await? + add(3, 4).await?)
}

#[workflow(name = "web::approve")]
pub(crate) async fn approve(#[inject] wf: Workflow, order: u64) -> Result<String> {
    wf.step("reserve", || async { Ok::<_, String>(()) }).await?;
    let by: String = wf.wait_for_event("approved").key(&order.to_string()).await?;
    Ok(by)
}

#[task(name = "web::echo", triggers = on_event::<String>("said"))]
pub(crate) async fn echo() -> String {
    "heard".to_owned()
}

/// An app in memory with its server.
pub(crate) struct Site {
    pub(crate) app: Pynenc,
    pub(crate) port: u16,
    runner: Option<RunnerHandle>,
    server: JoinHandle<()>,
}

/// The settings of most tests: everything is shown and allowed.
pub(crate) fn open_to_all() -> WebConfig {
    WebConfig { actions: true, arguments: pynenc::web::ArgumentVisibility::Full, ..WebConfig::default() }
}

impl Site {
    /// Serves an app without a runner.
    pub(crate) async fn without_runner(config: WebConfig) -> Self {
        let builder = Pynenc::builder().without_config_file().memory().app_id("site").without_linked_tasks();
        let app = builder
            .tasks(tasks![
                add,
                approve,
                drop_when_busy,
                echo,
                fail,
                fail_often,
                hang,
                parent,
                part,
                shop,
                wait_for_hang
            ])
            .build()
            .await
            .unwrap();
        let config = WebConfig { listen: "127.0.0.1:0".into(), ..config };
        let listening = Web::new(&app, config, app.explain()).listen().await.unwrap();
        let port = listening.address().port();
        let server = tokio::spawn(async move { listening.serve(std::future::pending()).await.unwrap() });
        Self { app, port, runner: None, server }
    }

    /// Serves an app with a runner.
    pub(crate) async fn new(config: WebConfig) -> Self {
        let site = Self::without_runner(config).await;
        let runner = site.app.start_runner().await.unwrap();
        Self { runner: Some(runner), ..site }
    }

    /// Sends a request on a thread of its own, so that the server's runtime isn't blocked.
    pub(crate) async fn send(&self, request: Request) -> Response {
        tokio::task::spawn_blocking(move || request.send().unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::get(self.port, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Request::post(self.port, path, body)).await
    }

    /// Reads a path of the API that must exist.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let response = self.get(&format!("/api/v1{path}")).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        response.json()
    }

    /// Waits until an invocation has a status.
    pub(crate) async fn reaches(&self, id: pynenc::InvocationId, status: Status) {
        while self.app.status(id).await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop(self) {
        if let Some(runner) = self.runner {
            runner.shutdown_now().await.unwrap();
        }
        self.server.abort();
    }
}

/// Whether a text has a part, with a message that shows the text.
pub(crate) fn assert_has(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` isn't in {text}");
}
