//! Metrics: what an app records, and the text that Prometheus reads.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::metrics::MetricsExt;
use pynenc::prelude::*;
use pynenc::testing::TestApp;

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct Declined;

#[task]
async fn doubles(x: u32) -> u32 {
    x * 2
}

#[task(max_retries = 1, backoff = constant("10s"), queue = "payments")]
async fn declines() -> Result<(), Declined> {
    Err(Declined)
}

async fn measured() -> Result<TestApp> {
    let configure = |builder: pynenc::PynencBuilder| {
        builder.app_id("shop").argument("runner.queues", "default,payments").set("metrics.record", true)
    };
    TestApp::with(configure).await
}

fn builder() -> pynenc::PynencBuilder {
    let builder = Pynenc::builder().without_config_file().environment([]).set("metrics.record", true);
    builder.without_linked_tasks().tasks(pynenc::tasks![doubles, declines])
}

/// The value of the only series of a metric with these labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_wanted = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|it| line.contains(it));
    let lines: Vec<_> = text.lines().filter(is_wanted).collect();
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first()?.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn invocations_are_counted_by_task_queue_status_and_kind_of_error() {
    let app = measured().await.unwrap();
    for x in 0..3 {
        assert_eq!(app.submit(doubles(x)).await.unwrap().result().await.unwrap(), x * 2);
    }
    let charge = app.submit(declines()).await.unwrap();
    app.advance(minutes(1)).await;
    assert!(charge.result().await.is_err());
    let text = app.metrics_text().await.unwrap();
    let check = |name: &str, labels: &[&str], expected: f64| {
        assert_eq!(value(&text, name, labels), Some(expected), "{name} {labels:?} in\n{text}");
    };
    let (doubling, charging) = ("task=\"metrics::doubles\"", "task=\"metrics::declines\"");
    check("pynenc_invocations_submitted_total", &[doubling, "queue=\"default\"", "app=\"shop\""], 3.0);
    check("pynenc_attempts_started_total", &[doubling], 3.0);
    check("pynenc_invocations_finished_total", &[doubling, "status=\"success\""], 3.0);
    check("pynenc_attempt_duration_seconds_count", &[doubling], 3.0);
    check("pynenc_invocation_wait_seconds_count", &[doubling], 3.0);
    check("pynenc_invocation_arguments_bytes_sum", &[doubling], 3.0);
    check("pynenc_invocation_result_bytes_count", &[doubling], 3.0);
    check("pynenc_attempts_started_total", &[charging, "queue=\"payments\""], 2.0);
    check("pynenc_invocation_wait_seconds_count", &[charging], 1.0);
    check("pynenc_invocations_retried_total", &[charging, "error_kind=\"Declined\""], 1.0);
    check("pynenc_invocations_finished_total", &[charging, "status=\"failed\"", "error_kind=\"Declined\""], 1.0);
    check("pynenc_poison_pills_total", &[charging], 0.0);
    assert!(value(&text, "pynenc_store_operation_duration_seconds_count", &["operation=\"settle\""]) >= Some(1.0));
}

#[tokio::test]
async fn the_wait_begins_at_the_due_time() {
    let app = measured().await.unwrap();
    app.submit(doubles(1).delay(minutes(30))).await.unwrap();
    app.advance(minutes(31)).await;
    let text = app.metrics_text().await.unwrap();
    let buckets = |le: &str| value(&text, "pynenc_invocation_wait_seconds_bucket", &["metrics::doubles", le]);
    assert_eq!(buckets("le=\"60\""), Some(1.0), "{text}");
}

#[tokio::test]
async fn the_gauges_of_the_app_come_from_its_stores() {
    let app = builder().build().await.unwrap();
    app.submit(doubles(1)).await.unwrap();
    app.submit(declines().delay(minutes(5))).await.unwrap();
    let text = app.metrics_text().await.unwrap();
    let of = |name: &str, label: &str| value(&text, name, &[label]);
    assert_eq!(of("pynenc_queue_waiting_invocations", "queue=\"default\""), Some(1.0), "{text}");
    assert_eq!(of("pynenc_queue_ready_invocations", "queue=\"default\""), Some(1.0));
    assert_eq!(of("pynenc_queue_ready_invocations", "queue=\"payments\""), Some(0.0));
    assert_eq!(of("pynenc_queue_delayed_invocations", "queue=\"payments\""), Some(1.0));
    assert!(of("pynenc_queue_oldest_ready_age_seconds", "queue=\"default\"").is_some());
    assert_eq!(of("pynenc_queue_oldest_ready_age_seconds", "queue=\"payments\""), Some(0.0));
    assert_eq!(of("pynenc_invocations", "status=\"scheduled\""), Some(1.0));
    assert_eq!(of("pynenc_runners", ""), Some(0.0));
}

#[tokio::test]
async fn the_oldest_ready_invocation_has_the_age_since_it_is_due() {
    use pynenc::core::clock::LeapingClock;
    use pynenc::core::{Clock, Timestamp};
    let clock = LeapingClock::default();
    let app = builder().clock(clock.clone()).build().await.unwrap();
    app.submit(doubles(1).delay(minutes(5))).await.unwrap();
    let begun: Timestamp = clock.now();
    clock.leap_to(begun + minutes(15));
    let text = app.metrics_text().await.unwrap();
    let age = value(&text, "pynenc_queue_oldest_ready_age_seconds", &["queue=\"default\""]).unwrap();
    assert!((600.0..900.0).contains(&age), "{text}");
}

#[tokio::test]
async fn a_runner_reports_its_slots_and_is_ready_until_it_stops() {
    let app = builder().set("runner.concurrency", 7).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    app.submit(doubles(1)).await.unwrap().result().await.unwrap();
    let is_ready =
        || app.local_runners().iter().any(|runner| runner.why_not_live().is_none() && runner.why_not_ready().is_none());
    while !is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&app.metrics_text().await.unwrap(), "pynenc_runner_slots", &[]), Some(7.0));
    runner.shutdown().await.unwrap();
    assert!(!is_ready());
}

/// `promtool` belongs to Prometheus. It parses the text as a server does, and checks names, units and help texts.
#[tokio::test]
async fn prometheus_accepts_the_text() {
    let app = measured().await.unwrap();
    app.submit(doubles(1)).await.unwrap();
    app.submit(declines()).await.unwrap();
    app.advance(minutes(1)).await;
    let text = app.metrics_text().await.unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is installed; scripts/test installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}\n{text}");
}

static MAY_GO_ON: AtomicBool = AtomicBool::new(false);

/// Blocks the thread of its runtime, which an `async` task must not do.
#[task]
async fn blocks_its_thread() {
    while !MAY_GO_ON.load(Ordering::Relaxed) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_blocked_runtime_is_not_live() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = [("runner.heartbeat_interval", "20ms"), ("runner.lease", "10s"), ("metrics.listen", "127.0.0.1:0")];
    let builder = settings.into_iter().fold(builder(), |builder, (key, value)| builder.set(key, value));
    let builder = builder.tasks(pynenc::tasks![blocks_its_thread]);
    let app = runtime.block_on(builder.build()).unwrap();
    assert_eq!(app.metrics_address(), None);
    let runner = runtime.block_on(app.start_runner()).unwrap();
    let address = loop {
        if let Some(address) = app.metrics_address() {
            break address;
        }
    };
    let livez = || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    assert!(livez().contains(" 200 OK"));
    let invocation = runtime.block_on(app.submit(blocks_its_thread())).unwrap();
    let response = loop {
        let response = livez();
        if !response.contains(" 200 OK") {
            break response;
        }
    };
    assert!(response.contains("503") && response.contains("block every thread of the runtime"), "{response}");
    MAY_GO_ON.store(true, Ordering::Relaxed);
    runtime.block_on(invocation.result()).unwrap();
    while !livez().contains(" 200 OK") {}
    runtime.block_on(runner.shutdown()).unwrap();
}
