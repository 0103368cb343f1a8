//! What a fault of the store means to a caller.

use pynenc_core::{Error, ErrorKind};
use redis::RedisError;

/// What to do about a connection after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Keep,
    /// It leads to a server that can't be written to, or to none: the next call makes another.
    Replace,
}

/// Codes of answers that another try may not get.
const RETRYABLE: [&str; 10] = [
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MISCONF",
    "NOREPLICAS",
    "UNBLOCKED",
    "NOSCRIPT",
];
/// Codes of answers that only a person can change.
const CONFIGURATION: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "CROSSSLOT"];
/// Texts for a command of a script that its user may not run, whose code is `ERR`: up to Redis 7.0, and from Redis 7.2 and
/// Valkey on.
const FORBIDDEN_IN_SCRIPT: [&str; 2] = ["The user executing the script", "ACL failure in script"];
/// What the TLS library says where it doesn't believe a server, and where the other side speaks something else.
const DISTRUST: [&str; 1] = ["certificate"];
const NO_TLS: [&str; 2] = ["InvalidContentType", "corrupt message"];

/// The component's error for a fault of the connection or an answer of the server.
pub(crate) fn classified(error: RedisError) -> Error {
    let text = error.to_string();
    let code = error.code().unwrap_or_default().to_owned();
    if let Some(advice) = advice_on_tls(&text) {
        return Error::config(advice).with("reason", text).caused_by(error);
    }
    match kind(&error, &code, &text) {
        ErrorKind::Unavailable if error.is_timeout() => Error::unavailable("redis didn't answer in time").caused_by(error),
        ErrorKind::Unavailable if error.is_connection_refusal() => {
            Error::unavailable("redis can't be reached; check that it runs and what `redis.redis_url` or `redis.redis_host` and `redis.redis_port` say").caused_by(error)
        }
        kind => Error::new(kind, message(kind)).with("reason", text).caused_by(error),
    }
}

/// What to do about a connection by TLS that can't be.
fn advice_on_tls(text: &str) -> Option<&'static str> {
    let says = |known: &[&str]| known.iter().any(|known| text.contains(known));
    if says(&DISTRUST) {
        Some(
            "the certificate of redis isn't trusted; check that `redis.redis_tls_ca` names the certificates of its \
             authority, that the address has the name that the certificate is for, and that it hasn't expired",
        )
    } else if says(&NO_TLS) {
        Some(
            "the server doesn't speak TLS at this port; write `redis://` in `redis.redis_url`, or the port for TLS \
             (`redis.redis_tls_ca` is for that one alone)",
        )
    } else {
        None
    }
}

/// The component's error for an item of a script that failed.
pub(crate) fn item_failed(text: &str) -> Error {
    let kind = answered(text, text);
    Error::new(kind, message(kind)).with("reason", text.trim())
}

/// What becomes of the connection.
pub(crate) fn fate(error: &RedisError) -> Fate {
    let lost = error.is_io_error() || error.is_unrecoverable_error();
    let moved = matches!(error.code(), Some("READONLY" | "UNBLOCKED" | "MASTERDOWN"));
    if lost || moved { Fate::Replace } else { Fate::Keep }
}

fn kind(error: &RedisError, code: &str, text: &str) -> ErrorKind {
    use redis::ErrorKind as Fault;
    match error.kind() {
        Fault::Io | Fault::Parse => ErrorKind::Unavailable,
        Fault::AuthenticationFailed | Fault::InvalidClientConfig | Fault::RESP3NotSupported => ErrorKind::Config,
        _ => answered(code, text),
    }
}

fn answered(code: &str, text: &str) -> ErrorKind {
    let says = |known: &str| code == known || text.contains(known);
    if says("OOM") {
        ErrorKind::StoreFull
    } else if is_altered(text) || code == "WRONGTYPE" {
        ErrorKind::Corrupt
    } else if CONFIGURATION.iter().chain(&FORBIDDEN_IN_SCRIPT).any(|known| says(known)) {
        ErrorKind::Config
    } else if RETRYABLE.iter().any(|known| says(known)) || text.contains("max number of clients") {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Unexpected
    }
}

/// Whether a script met something else under an item's key than what was put there.
fn is_altered(text: &str) -> bool {
    text.contains("WRONGTYPE") || text.contains("data string too short")
}

const fn message(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StoreFull => "redis has no memory left for new work",
        ErrorKind::Config => {
            "redis refuses these credentials or settings; check `redis.redis_username`, `redis.redis_password` and \
             `redis.redis_db`, or `redis.redis_url`"
        }
        ErrorKind::Corrupt => "what redis holds under a key of this app isn't what was put there",
        ErrorKind::Unavailable => "redis can't do it for now",
        _ => "redis answered with an error",
    }
}

/// The error for an answer of another shape than the scripts give.
pub(crate) fn misshapen(what: &'static str) -> Error {
    Error::corrupt("an answer of redis has an unknown shape").with("expected", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: ErrorKind) {
        assert_eq!(item_failed(answer).kind(), expected, "{answer}");
    }

    #[test]
    fn answers_are_told_apart() {
        check("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::StoreFull);
        for code in RETRYABLE {
            check(&format!("{code} and why"), ErrorKind::Unavailable);
        }
        for code in CONFIGURATION {
            assert_eq!(answered(code, code), ErrorKind::Config, "{code}");
        }
        for text in FORBIDDEN_IN_SCRIPT {
            check(&format!("ERR {text}: and why"), ErrorKind::Config);
        }
        check("ERR max number of clients reached", ErrorKind::Unavailable);
        check("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::Corrupt);
        check("ERR unknown command", ErrorKind::Unexpected);
    }
}
