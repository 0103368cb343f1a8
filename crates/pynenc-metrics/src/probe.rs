//! A client of the listener, for probes that execute a command.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use pynenc_core::config::Section;
use pynenc_core::{Error, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::MetricsConfig;

/// How long a probe may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum length of the reply to a probe, in bytes.
const MAX_REPLY: usize = 4096;

/// A health probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Whether the runner works at all. If it doesn't, only a restart helps.
    Live,
    /// Whether the runner claims invocations.
    Ready,
}

/// Asks the listener of a worker on this machine. Returns the reason if the probe fails.
///
/// # Errors
///
/// A configuration error without a listener, an unavailable one if the listener doesn't reply within 5 s.
///
/// # Cancel safety
///
/// It can be dropped at any point.
pub async fn probe(config: &MetricsConfig, probe: Probe) -> Result<Option<String>> {
    config.validate()?;
    let Some((host, port)) = config.address(0)? else {
        let error = Error::config("the worker has no listener for health probes: set `metrics.listen`");
        return Err(error.with("example", "0.0.0.0:9464"));
    };
    // A listener on all addresses is asked at the loopback address.
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let failed = |error: Error| error.with("address", format_args!("{host}:{port}"));
    match timeout(TIMEOUT, ask(host, port, probe)).await {
        Ok(reply) => reply.map_err(failed),
        Err(_) => Err(failed(Error::unavailable("the worker doesn't reply to the health probe"))),
    }
}

async fn ask(host: &str, port: u16, probe: Probe) -> Result<Option<String>> {
    let lost =
        |error: hyper::Error| Error::unavailable("the worker doesn't reply to the health probe").caused_by(error);
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| Error::unavailable("no worker listens for health probes").caused_by(error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let path = match probe {
        Probe::Live => "/livez",
        Probe::Ready => "/readyz",
    };
    let request = Request::get(path).header(HOST, host).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Error::config("the host of `metrics.listen` is invalid").caused_by(error))?;
    let reply = async {
        let reply = sender.send_request(request).await.map_err(lost)?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), MAX_REPLY).collect().await;
        let body =
            body.map_err(|error| Error::unavailable("the reply to the health probe is incomplete").caused_by(error))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
        Ok(if status == StatusCode::OK { None } else { Some(text) })
    };
    tokio::pin!(reply);
    tokio::select! {
        reply = &mut reply => reply,
        // The connection has to be driven. Its end is seen by the request too.
        _ = connection => reply.await,
    }
}
