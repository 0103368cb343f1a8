//! Metrics: what an app records, and the text that Prometheus reads.

use std::io::Write;
use std::process::{Command, Stdio};

use pynenc::prelude::*;
use pynenc::prometheus::Prometheus;
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

async fn measured() -> (TestApp, Prometheus) {
    let prometheus = Prometheus::default();
    let configure = |builder: pynenc::PynencBuilder| {
        builder.app_id("shop").argument("runner.queues", "default,payments").metrics(prometheus.recorder())
    };
    let app = TestApp::with(configure).await.unwrap();
    (app, prometheus)
}

/// The value of the only series of a metric with these labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_wanted = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|it| line.contains(it));
    let lines: Vec<_> = text.lines().filter(is_wanted).collect();
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn invocations_are_counted_by_task_queue_status_and_kind_of_error() {
    let (app, prometheus) = measured().await;
    for x in 0..3 {
        assert_eq!(app.submit(doubles(x)).await.unwrap().result().await.unwrap(), x * 2);
    }
    let declined = app.submit(declines()).await.unwrap();
    app.advance(minutes(1)).await;
    assert!(declined.result().await.is_err());
    let text = prometheus.render(&app).await;
    let check = |name: &str, labels: &[&str], expected: f64| {
        assert_eq!(value(&text, name, labels), Some(expected), "{name} {labels:?} in\n{text}");
    };
    let (doubles, declines) = ("task=\"metrics::doubles\"", "task=\"metrics::declines\"");
    check("pynenc_invocations_submitted_total", &[doubles, "queue=\"default\"", "app=\"shop\""], 3.0);
    check("pynenc_attempts_started_total", &[doubles], 3.0);
    check("pynenc_invocations_finished_total", &[doubles, "status=\"success\""], 3.0);
    check("pynenc_attempt_duration_seconds_count", &[doubles], 3.0);
    check("pynenc_invocation_wait_seconds_count", &[doubles], 3.0);
    check("pynenc_invocation_arguments_bytes_sum", &[doubles], 3.0);
    check("pynenc_invocation_result_bytes_count", &[doubles], 3.0);
    check("pynenc_attempts_started_total", &[declines, "queue=\"payments\""], 2.0);
    check("pynenc_invocation_wait_seconds_count", &[declines], 1.0);
    check("pynenc_invocations_retried_total", &[declines, "error_kind=\"Declined\""], 1.0);
    check("pynenc_invocations_finished_total", &[declines, "status=\"failed\"", "error_kind=\"Declined\""], 1.0);
    check("pynenc_poison_pills_total", &[declines], 0.0);
    assert!(value(&text, "pynenc_store_operation_duration_seconds_count", &["operation=\"settle\""]) >= Some(1.0));
}

#[tokio::test]
async fn the_gauges_of_the_app_come_from_its_stores() {
    let prometheus = Prometheus::default();
    let app = Pynenc::builder().without_config_file().environment([]).metrics(prometheus.recorder());
    let app = app.without_linked_tasks().tasks(pynenc::tasks![doubles, declines]).build().await.unwrap();
    app.submit(doubles(1)).await.unwrap();
    app.submit(declines().delay(minutes(5))).await.unwrap();
    let text = prometheus.render(&app).await;
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
    let (prometheus, clock) = (Prometheus::default(), LeapingClock::default());
    let app = Pynenc::builder().without_config_file().environment([]).metrics(prometheus.recorder());
    let app = app.clock(clock.clone()).without_linked_tasks().tasks(pynenc::tasks![doubles]).build().await.unwrap();
    app.submit(doubles(1).delay(minutes(5))).await.unwrap();
    let begun: Timestamp = clock.now();
    clock.leap_to(begun + minutes(15));
    let text = prometheus.render(&app).await;
    let age = value(&text, "pynenc_queue_oldest_ready_age_seconds", &["queue=\"default\""]).unwrap();
    assert!((600.0..900.0).contains(&age), "{text}");
}

#[tokio::test]
async fn a_runner_reports_its_slots_and_is_ready_until_it_stops() {
    let prometheus = Prometheus::default();
    let app = Pynenc::builder().without_config_file().environment([]).metrics(prometheus.recorder());
    let app = app.set("runner.concurrency", 7).without_linked_tasks().tasks(pynenc::tasks![doubles]);
    let app = app.build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    app.submit(doubles(1)).await.unwrap().result().await.unwrap();
    let is_ready = || app.local_runners().iter().any(|runner| runner.is_live() && runner.is_ready());
    while !is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&prometheus.render(&app).await, "pynenc_runner_slots", &[]), Some(7.0));
    runner.shutdown().await.unwrap();
    assert!(!is_ready());
}

/// `promtool` belongs to Prometheus. It parses the text as a server does, and checks names, units and help texts.
#[tokio::test]
async fn prometheus_accepts_the_text() {
    let (app, prometheus) = measured().await;
    app.submit(doubles(1)).await.unwrap();
    app.submit(declines()).await.unwrap();
    app.advance(minutes(1)).await;
    let text = prometheus.render(&app).await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is installed; scripts/test installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}\n{text}");
}
