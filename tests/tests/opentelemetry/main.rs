//! Tests of OpenTelemetry: worker processes that export to a collector.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collector;

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use pynenc_engine::metrics::list;
use pynenc_testkit::TestProcess;
use pynenc_tests::variables::on_sqlite;
use serde_json::Value;
use tempfile::TempDir;

use crate::collector::{Collector, texts};

/// Settings with which only a flush exports.
const ONLY_FLUSHES: [(&str, &str); 2] =
    [("OTEL_BSP_SCHEDULE_DELAY", "3600000"), ("OTEL_METRIC_EXPORT_INTERVAL", "3600000")];

/// A program with an app in a file of its own.
struct Program {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Program {
    /// A program that exports to an address.
    fn exporting_to(address: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", address)];
        let owned = endpoint.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = on_sqlite("shop", "jobs.db", &[]).into_iter().chain(owned).collect();
        Self { folder, variables }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otel-app"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn worker(&self) -> TestProcess {
        let mut worker = TestProcess::start(&mut self.command(&["worker"]));
        worker.wait_for_stdout("serves the app");
        worker
    }

    /// Calls a task by the command line, and returns the id of its invocation and its value.
    fn call(&self, task: &str, arguments: &str) -> (String, Value) {
        let output = self.command(&["call", task, "--args", arguments, "--wait", "--json"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        (reply["invocation"].as_str().unwrap().to_owned(), reply["value"].clone())
    }
}

fn stop(mut worker: TestProcess) -> String {
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success(), "{}", worker.stderr());
    worker.stderr()
}

/// Checks that a span is linked to another one, and in a trace of its own.
fn check_link(span: &Span, target: &Span) {
    assert_eq!(span.links.len(), 1, "{span:?}");
    assert_eq!((&span.links[0].trace_id, &span.links[0].span_id), (&target.trace_id, &target.span_id), "{span:?}");
    assert_ne!(span.trace_id, target.trace_id);
}

fn check_parent(span: &Span, parent: &Span) {
    assert_eq!((&span.trace_id, &span.parent_span_id), (&parent.trace_id, &parent.span_id), "{span:?}");
}

#[test]
fn submits_attempts_and_nested_calls_have_linked_spans_that_a_shutdown_flushes() {
    let collector = Collector::start();
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret"), ("OTEL_RESOURCE_ATTRIBUTES", "team=jobs%20team")];
    let program = Program::exporting_to(collector.address(), &[&ONLY_FLUSHES[..], &headers].concat());
    let worker = program.worker();
    let (id, value) = program.call("calls_another", r#"{"x": 4}"#);
    assert_eq!(value, 8);
    stop(worker);
    let received = collector.received();
    let outer = [("messaging.message.id", &*id)];

    let send = received.one("send default", &outer);
    assert_eq!((send.kind(), &*send.parent_span_id), (SpanKind::Producer, &[][..]));
    let process = received.one("process default", &outer);
    assert_eq!((process.kind(), &*process.parent_span_id), (SpanKind::Consumer, &[][..]));
    check_link(process, send);
    let own = received.one("own work", &[]);
    check_parent(own, process);
    let nested: Vec<_> =
        received.find("send default", &[]).into_iter().filter(|it| it.span_id != send.span_id).collect();
    assert_eq!((nested.len(), nested[0].kind()), (1, SpanKind::Producer));
    check_parent(nested[0], own);
    let inner = texts(&nested[0].attributes)["messaging.message.id"].clone();
    check_link(received.one("process default", &[("messaging.message.id", &inner)]), nested[0]);

    let attributes = texts(&process.attributes);
    let expected = [
        ("messaging.system", "pynenc"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "default"),
        ("pynenc.app", "shop"),
        ("pynenc.invocation", &id),
        ("pynenc.attempt", "1"),
        ("pynenc.status", "success"),
    ];
    for (name, value) in expected {
        assert_eq!(attributes[name], value, "{name}");
    }
    assert!(attributes["pynenc.task"].ends_with("::calls_another") && attributes.contains_key("messaging.client.id"));
    assert!(process.status.as_ref().is_none_or(|status| status.code() == StatusCode::Unset));

    let resource = &received.resources[0];
    assert_eq!((&*resource["service.name"], &*resource["team"]), ("shop", "jobs team"));
    assert!(resource.contains_key("service.instance.id") && resource["telemetry.sdk.language"] == "rust");
    assert!(received.keys.iter().all(|key| key == "secret") && !received.keys.is_empty());
    assert!(received.scopes.iter().any(|(scope, schema)| scope.name == "pynenc" && schema.ends_with("/1.42.0")));
}

#[test]
fn each_attempt_has_a_span_and_a_failed_one_says_why() {
    let collector = Collector::start();
    let program = Program::exporting_to(collector.address(), &ONLY_FLUSHES);
    let worker = program.worker();
    let (id, trace) = program.call("fails_once", "{}");
    stop(worker);
    let received = collector.received();
    let attempt =
        |number| received.one("process default", &[("messaging.message.id", &id), ("pynenc.attempt", number)]);
    let (first, second) = (attempt("1"), attempt("2"));
    let send = received.one("send default", &[]);
    [first, second].into_iter().for_each(|attempt| check_link(attempt, send));
    let status = first.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert!(status.message.contains("not yet"), "{status:?}");
    let attributes = texts(&first.attributes);
    assert_eq!(attributes["pynenc.status"], "retry");
    assert!(attributes["error.type"].contains("String"), "{attributes:?}");
    let hex = format!("{:016x}", u64::from_be_bytes(second.span_id.as_slice().try_into().unwrap()));
    assert!(trace.as_str().unwrap().contains(&hex), "the task function reads its own span: {trace}");
}

#[test]
fn a_batch_has_one_span_and_attempts_can_be_its_children() {
    let collector = Collector::start();
    let child = [("PYNENC__OTEL__ATTEMPTS", "child")];
    let program = Program::exporting_to(collector.address(), &[&ONLY_FLUSHES[..], &child].concat());
    let worker = program.worker();
    let (id, _) = program.call("submits_three", "{}");
    stop(worker);
    let received = collector.received();
    let process = received.one("process default", &[("messaging.message.id", &id)]);
    check_parent(process, received.one("send default", &[("messaging.message.id", &id)]));
    let batch = received.one("send default", &[("messaging.batch.message_count", "3")]);
    check_parent(batch, process);
    let children = received.spans.iter().filter(|span| span.parent_span_id == batch.span_id);
    let children: Vec<_> = children.map(|span| (span.kind(), span.links.len())).collect();
    assert_eq!(children, [(SpanKind::Consumer, 0); 3]);
}

#[test]
fn metrics_are_exported_with_their_units_and_buckets() {
    let collector = Collector::start();
    let program = Program::exporting_to(collector.address(), &[("OTEL_METRIC_EXPORT_INTERVAL", "100")]);
    let worker = program.worker();
    program.call("doubles", r#"{"x": 1}"#);
    let received = collector.wait_until(|it| {
        it.metric("pynenc.attempt.duration").is_some() && it.metric("pynenc.queue.waiting.invocations").is_some()
    });
    stop(worker);
    let metric = received.metric("pynenc.attempt.duration").unwrap();
    assert_eq!(metric.unit, "s");
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((&*point.explicit_bounds, point.count), (list::SECONDS, 1));
    let attributes = texts(&point.attributes);
    assert_eq!((&*attributes["app"], &*attributes["queue"]), ("shop", "default"));
    assert!(attributes["task"].ends_with("::doubles"));
    let Some(Data::Sum(started)) = &received.metric("pynenc.attempts.started").unwrap().data else { panic!() };
    assert!(started.is_monotonic);
    let Some(Data::Gauge(slots)) = &received.metric("pynenc.runner.slots").unwrap().data else { panic!() };
    assert_eq!(slots.data_points.len(), 1);
    let Some(Data::Gauge(waiting)) = &received.metric("pynenc.queue.waiting.invocations").unwrap().data else {
        panic!()
    };
    assert_eq!(texts(&waiting.data_points[0].attributes)["queue"], "default");
}

/// Lets a worker run calls, and returns what it has logged when it has stopped.
fn drain(address: &str) -> String {
    let variables = [
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
    ];
    let program = Program::exporting_to(address, &variables);
    let worker = program.worker();
    // The clients don't export, because each of them would wait for the collector.
    let clients = Program { variables: on_sqlite("shop", "jobs.db", &[]).into_iter().collect(), ..program };
    for _ in 0..20 {
        clients.call("submits_three", "{}");
    }
    stop(worker)
}

#[test]
fn a_collector_that_refuses_connections_costs_only_spans() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let logged = drain(&format!("http://{address}"));
    assert_eq!(logged.matches("spans are dropped").count(), 1, "an outage is logged once: {logged}");
    assert_eq!(logged.matches("metrics are sent when it is back").count(), 1, "{logged}");
}

#[test]
fn a_collector_that_never_replies_costs_only_spans() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    let logged = drain(&format!("http://{address}"));
    assert!(logged.contains("the OpenTelemetry collector doesn't reply"), "{logged}");
}

#[test]
fn a_variable_that_cannot_be_used_turns_the_export_off_and_is_logged() {
    let collector = Collector::start();
    let program = Program::exporting_to(collector.address(), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let worker = program.worker();
    let (_, value) = program.call("doubles", r#"{"x": 1}"#);
    assert_eq!(value, 2);
    let logged = stop(worker);
    assert!(logged.contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc isn't supported"), "{logged}");
    assert!(collector.received().spans.is_empty());
}
