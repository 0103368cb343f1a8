//! The HTTP listener for scrapes and health probes.
//!
//! It has a thread and a runtime of its own, so that it answers probes while task functions block every thread of the
//! runner's runtime. Only the rendering of metrics happens there, because it uses the connections of the stores.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pynenc_core::{Error, Result};
use pynenc_engine::{Engine, RunnerState, WeakEngine};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::prometheus::{self, Prometheus};

/// The maximum number of open connections. Further clients wait.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may wait for the rest of a request, or for the next one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest life of a connection, also of one whose client doesn't read the replies.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the runner's runtime may take to render the metrics.
const RENDER_TIMEOUT: Duration = Duration::from_secs(10);

/// An open listener. It closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    _open: oneshot::Sender<Infallible>,
}

/// The source of the replies.
#[derive(Clone)]
struct Source {
    prometheus: Arc<Prometheus>,
    engine: WeakEngine,
    /// The runtime of the runner.
    runtime: Handle,
}

impl Listener {
    /// Opens a listener for the runners of an engine. The calling runtime renders the metrics.
    ///
    /// # Errors
    ///
    /// The configuration error that the address can't be used.
    pub(crate) fn open(host: &str, port: u16, prometheus: Arc<Prometheus>, engine: WeakEngine) -> Result<Self> {
        let unusable = |error| {
            let error = Error::config("can't listen for scrapes and health probes; choose another `metrics.listen`")
                .caused_by(error);
            error.with("address", format_args!("{host}:{port}"))
        };
        let listener = std::net::TcpListener::bind((host, port)).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unusable)?;
        let (open, closed) = oneshot::channel();
        let source = Source { prometheus, engine, runtime: Handle::current() };
        let serve = async move {
            tokio::select! {
                _ = closed => {}
                result = accept(listener, source) => {
                    if let Err(error) = result {
                        tracing::error!(%error, "the listener for scrapes and health probes has stopped");
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("pynenc-listener".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(unusable)?;
        tracing::info!(%address, "listening for scrapes of /metrics and for the health probes /livez and /readyz");
        Ok(Self { address, _open: open })
    }
}

async fn accept(listener: std::net::TcpListener, source: Source) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = connections.clone().acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let source = source.clone();
                tokio::spawn(async move {
                    serve(stream, source).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // The process has no free file descriptor, or the client is already gone.
                tracing::debug!(%error, "can't accept a connection of a scrape or a probe");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, source: Source) {
    let service = service_fn(move |request| reply(request, source.clone()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT);
    let served = timeout(CONNECTION_TIMEOUT, http.serve_connection(TokioIo::new(stream), service)).await;
    if let Ok(Err(error)) = served {
        tracing::debug!(%error, "a connection of a scrape or a probe was lost");
    }
}

async fn reply<B>(request: Request<B>, source: Source) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let engine = source.engine.upgrade();
    let states = engine.as_ref().map(Engine::local_runners).unwrap_or_default();
    drop(engine);
    Ok(match request.uri().path() {
        "/metrics" => metrics(source).await,
        "/livez" => health(states.iter().find_map(RunnerState::why_not_live)),
        "/readyz" if states.is_empty() => health(Some("no runner works in this process")),
        "/readyz" => health(states.iter().find_map(RunnerState::why_not_ready)),
        "/" => text(StatusCode::OK, "/metrics\n/livez\n/readyz\n"),
        _ => text(StatusCode::NOT_FOUND, "there are only /metrics, /livez and /readyz\n"),
    })
}

fn health(problem: Option<&str>) -> Response<Full<Bytes>> {
    match problem {
        None => text(StatusCode::OK, "ok\n"),
        Some(problem) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

/// Renders the metrics on the runner's runtime.
async fn metrics(source: Source) -> Response<Full<Bytes>> {
    let Source { prometheus, engine, runtime } = source;
    let rendering = runtime.spawn(async move {
        let engine = engine.upgrade()?;
        Some(prometheus.render(&engine).await)
    });
    match timeout(RENDER_TIMEOUT, rendering).await {
        Ok(Ok(Some(metrics))) => {
            let mut response = text(StatusCode::OK, metrics);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(prometheus::CONTENT_TYPE));
            response
        }
        Ok(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the app is gone\n"),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the runtime is too busy to render the metrics\n"),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
