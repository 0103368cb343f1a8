//! Errors of the server and its connections, as errors of the component.

use pynenc_core::{Error, ErrorKind};
use redis::RedisError;

/// Codes of errors that a retry may resolve.
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
/// Codes of errors that a person has to resolve.
const CONFIGURATION: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "CROSSSLOT"];
/// Texts of the error for a forbidden command in a script, whose code is `ERR`: until Redis 7.0, and from Redis 7.2 and
/// Valkey on.
const FORBIDDEN_IN_SCRIPT: [&str; 2] = ["The user executing the script", "ACL failure in script"];
/// Texts of the TLS library for an untrusted certificate, and for a server that doesn't speak TLS.
const UNTRUSTED: [&str; 1] = ["certificate"];
const NO_TLS: [&str; 2] = ["InvalidContentType", "corrupt message"];

/// Converts an error of the connection or of the server.
pub(crate) fn component_error(error: RedisError) -> Error {
    let text = error.to_string();
    let code = error.code().unwrap_or_default().to_owned();
    if let Some(advice) = advice_on_tls(&text) {
        return Error::config(advice).with("reason", text).caused_by(error);
    }
    match kind(&error, &code, &text) {
        ErrorKind::Unavailable if error.is_timeout() => {
            Error::unavailable("redis didn't answer in time").caused_by(error)
        }
        ErrorKind::Unavailable if error.is_connection_refusal() => {
            let advice = "redis can't be reached; check that redis runs at the address in `redis.redis_url`, or in \
                          `redis.redis_host` and `redis.redis_port`";
            Error::unavailable(advice).caused_by(error)
        }
        kind => Error::new(kind, message(kind)).with("reason", text).caused_by(error),
    }
}

/// Advice on a failed TLS handshake.
fn advice_on_tls(text: &str) -> Option<&'static str> {
    let says = |known: &[&str]| known.iter().any(|known| text.contains(known));
    if says(&UNTRUSTED) {
        Some(
            "the certificate of redis isn't trusted; check that `redis.redis_tls_ca` names the certificates of its \
             authority, that the certificate is for the host in the address, and that the certificate hasn't expired",
        )
    } else if says(&NO_TLS) {
        Some(
            "the server doesn't speak TLS at this port; set `redis.redis_url` to a `redis://` address, or to the port \
             for TLS (`redis.redis_tls_ca` has no effect without TLS)",
        )
    } else {
        None
    }
}

/// Converts the error text of a failed item of a script.
pub(crate) fn item_failed(text: &str) -> Error {
    let kind = kind_of_reply(text, text);
    Error::new(kind, message(kind)).with("reason", text.trim())
}

/// Whether the next call needs another connection: this one is lost, or leads to a server that refuses writes.
pub(crate) fn needs_new_connection(error: &RedisError) -> bool {
    let is_lost = error.is_io_error() || error.is_unrecoverable_error();
    is_lost || matches!(error.code(), Some("READONLY" | "UNBLOCKED" | "MASTERDOWN"))
}

pub(crate) fn is_corrupt(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}

fn kind(error: &RedisError, code: &str, text: &str) -> ErrorKind {
    use redis::ErrorKind as Kind;
    match error.kind() {
        Kind::Io | Kind::Parse => ErrorKind::Unavailable,
        Kind::AuthenticationFailed | Kind::InvalidClientConfig | Kind::RESP3NotSupported => ErrorKind::Config,
        _ => kind_of_reply(code, text),
    }
}

fn kind_of_reply(code: &str, text: &str) -> ErrorKind {
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

/// Whether a script found a value that this version of pynenc didn't write.
fn is_altered(text: &str) -> bool {
    ["WRONGTYPE", "data string too short", "unknown layout"].iter().any(|known| text.contains(known))
}

const fn message(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StoreFull => "redis has no memory left for new work",
        ErrorKind::Config => {
            "redis refuses these credentials or settings; check `redis.redis_username`, `redis.redis_password` and \
             `redis.redis_db`, or `redis.redis_url`"
        }
        ErrorKind::Corrupt => "redis holds a value under a key of this app that pynenc didn't write",
        ErrorKind::Unavailable => "redis can't serve the request at present",
        _ => "redis answered with an error",
    }
}

/// The error for a reply of an unexpected shape.
pub(crate) fn unexpected_reply(expected: &'static str) -> Error {
    Error::corrupt("a reply of redis has an unexpected shape").with("expected", expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &str, expected: ErrorKind) {
        assert_eq!(item_failed(reply).kind(), expected, "{reply}");
    }

    #[test]
    fn error_replies_have_the_right_kind() {
        check("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::StoreFull);
        for code in RETRYABLE {
            check(&format!("{code} and the reason"), ErrorKind::Unavailable);
        }
        for code in CONFIGURATION {
            assert_eq!(kind_of_reply(code, code), ErrorKind::Config, "{code}");
        }
        for text in FORBIDDEN_IN_SCRIPT {
            check(&format!("ERR {text}: and the reason"), ErrorKind::Config);
        }
        check("ERR max number of clients reached", ErrorKind::Unavailable);
        check("WRONGTYPE Operation against a key holding the wrong kind of value", ErrorKind::Corrupt);
        check("ERR unknown command", ErrorKind::Unexpected);
    }
}
