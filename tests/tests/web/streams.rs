//! Server-sent events.

use pynenc::Status;
use pynenc_tests::http::Request;
use serde_json::Value;

use crate::setup::{Site, add, hang, open_to_all};

/// The next event of a stream: its name and its data.
fn next_event(lines: &mut impl Iterator<Item = String>) -> Option<(String, Value)> {
    let name = lines.find_map(|line| line.strip_prefix("event: ").map(str::to_owned))?;
    let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned))?;
    Some((name, serde_json::from_str(&data).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_is_streamed_until_it_has_finished() {
    let site = Site::new(open_to_all()).await;
    let invocation = site.app.submit(hang(1)).await.unwrap();
    site.reaches(invocation.id(), Status::Running).await;
    let request = Request::get(site.port, &format!("/api/v1/invocations/{}/stream", invocation.id()));
    let (first_seen, seen) = tokio::sync::oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || {
        let mut lines = request.lines();
        first_seen.send(next_event(&mut lines).unwrap()).unwrap();
        let mut last = Value::Null;
        while let Some((name, data)) = next_event(&mut lines) {
            assert_eq!(name, "invocation");
            last = data;
        }
        last
    });
    let (name, first) = seen.await.unwrap();
    assert_eq!((&*name, first["status"].as_str()), ("invocation", Some("running")));
    invocation.cancel().await.unwrap();
    assert_eq!(reader.await.unwrap()["status"], "cancelled", "the stream ends with the completion");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_the_overview_stream_what_has_changed() {
    let site = Site::without_runner(open_to_all()).await;
    let first = site.app.submit(add(1, 1)).await.unwrap().id();
    let (port, sender) = (site.port, tokio::sync::mpsc::unbounded_channel());
    let (seen, mut events) = sender;
    for path in ["/api/v1/invocations/stream?task=add", "/api/v1/overview/stream"] {
        let seen = seen.clone();
        std::thread::spawn(move || {
            let mut lines = Request::get(port, path).lines();
            while let Some(event) = next_event(&mut lines) {
                let _ = seen.send(event);
            }
        });
    }
    let mut next = async |name: &str, is_wanted: &dyn Fn(&Value) -> bool| loop {
        let (found, data) = events.recv().await.unwrap();
        if found == name && is_wanted(&data) {
            return data;
        }
    };
    next("invocations", &|rows| rows[0]["id"] == first.to_string()).await;
    next("overview", &|overview| overview["statuses"]["registered"] == 1).await;
    let second = site.app.submit(add(2, 2)).await.unwrap().id();
    let rows = next("invocations", &|_| true).await;
    assert_eq!(rows.as_array().unwrap().len(), 1, "only the new row is sent");
    assert_eq!(rows[0]["id"], second.to_string());
    next("overview", &|overview| overview["statuses"]["registered"] == 2).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_waits_end_when_the_server_stops() {
    use pynenc::web::{Web, WebConfig};
    let site = Site::without_runner(open_to_all()).await;
    let config = WebConfig { listen: "127.0.0.1:0".into(), ..open_to_all() };
    let listening = Web::new(&site.app, config, Vec::new()).listen().await.unwrap();
    let port = listening.address().port();
    let request = Request::get(port, "/api/v1/overview/stream");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(listening.serve(async move { stopped.await.unwrap() }));
    let call = serde_json::json!({"task": "hang", "arguments": {"key": 1}, "wait": "5m"});
    let waiting =
        tokio::task::spawn_blocking(move || Request::post(port, "/api/v1/invocations", &call).send().unwrap());
    while site.app.count(Status::Registered).await.unwrap() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let reader = tokio::task::spawn_blocking(move || {
        let mut lines = request.lines();
        opened.send(next_event(&mut lines).is_some()).unwrap();
        lines.count()
    });
    assert!(is_open.await.unwrap());
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    reader.await.unwrap();
    assert_eq!(waiting.await.unwrap().json()["outcome"], Value::Null, "the server doesn't wait for five minutes");
    site.stop().await;
}
