//! A collector for OTLP over HTTP, on threads of the test.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// The longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Receives spans and metrics.
pub(crate) struct Collector {
    address: String,
    received: Arc<(Mutex<Received>, Condvar)>,
}

/// The spans and metrics that a collector has received.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) spans: Vec<Span>,
    pub(crate) scopes: Vec<(InstrumentationScope, String)>,
    /// The attributes of the resources.
    pub(crate) resources: Vec<HashMap<String, String>>,
    pub(crate) metrics: Vec<Metric>,
    /// The values of the header `x-key`.
    pub(crate) keys: Vec<String>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<(Mutex<Received>, Condvar)> = Arc::default();
        let store = received.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let store = store.clone();
                thread::spawn(move || serve(&connection, &store));
            }
        });
        Self { address, received }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the spans and metrics that were received until now.
    pub(crate) fn received(&self) -> Received {
        self.received.0.lock().unwrap().clone()
    }

    /// Waits until enough was received, and returns it.
    pub(crate) fn wait_until(&self, is_enough: impl Fn(&Received) -> bool) -> Received {
        let (received, changed) = &*self.received;
        let guard = received.lock().unwrap();
        let (guard, wait) = changed.wait_timeout_while(guard, PATIENCE, |it| !is_enough(it)).unwrap();
        assert!(!wait.timed_out(), "not enough was received: {guard:?}");
        guard.clone()
    }
}

/// Receives the requests of a connection until it closes.
fn serve(connection: &TcpStream, received: &(Mutex<Received>, Condvar)) {
    let mut reader = BufReader::new(connection);
    while let Some((path, headers)) = read_head(&mut reader) {
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let mut store = received.0.lock().unwrap();
        store.keys.extend(headers.get("x-key").cloned());
        match &*path {
            "/v1/traces" => store.add_spans(ExportTraceServiceRequest::decode(&*body).unwrap()),
            "/v1/metrics" => store.add_metrics(ExportMetricsServiceRequest::decode(&*body).unwrap()),
            path => panic!("a request for {path}"),
        }
        drop(store);
        received.1.notify_all();
        let reply = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        if (&*connection).write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads the path and the headers of a request, unless the connection was closed.
fn read_head(reader: &mut impl BufRead) -> Option<(String, HashMap<String, String>)> {
    let mut lines = reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_lowercase(), value.to_owned()))
    });
    Some((path, headers.collect()))
}

impl Received {
    fn add_spans(&mut self, request: ExportTraceServiceRequest) {
        for of_resource in request.resource_spans {
            self.resources.extend(of_resource.resource.map(|resource| texts(&resource.attributes)));
            for of_scope in of_resource.scope_spans {
                self.scopes.extend(of_scope.scope.map(|scope| (scope, of_scope.schema_url)));
                self.spans.extend(of_scope.spans);
            }
        }
    }

    fn add_metrics(&mut self, request: ExportMetricsServiceRequest) {
        for of_resource in request.resource_metrics {
            self.resources.extend(of_resource.resource.map(|resource| texts(&resource.attributes)));
            self.metrics.extend(of_resource.scope_metrics.into_iter().flat_map(|of_scope| of_scope.metrics));
        }
    }

    /// The last export of a metric.
    pub(crate) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().rfind(|metric| metric.name == name)
    }

    /// The spans with a name and values of attributes.
    pub(crate) fn find(&self, name: &str, attributes: &[(&str, &str)]) -> Vec<&Span> {
        let has = |span: &Span| {
            let texts = texts(&span.attributes);
            attributes.iter().all(|(key, value)| texts.get(*key).is_some_and(|found| found == value))
        };
        self.spans.iter().filter(|span| span.name == name && has(span)).collect()
    }

    /// The only such span.
    pub(crate) fn one(&self, name: &str, attributes: &[(&str, &str)]) -> &Span {
        let found = self.find(name, attributes);
        assert_eq!(found.len(), 1, "one `{name}` with {attributes:?} in {:#?}", self.spans);
        found[0]
    }
}

/// Attributes as texts.
pub(crate) fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = match attribute.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            other => panic!("a value of another type: {other:?}"),
        };
        Some((attribute.key.clone(), value))
    };
    attributes.iter().filter_map(text).collect()
}
