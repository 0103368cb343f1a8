//! A plain HTTP client for tests.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request without a body, and returns the status and the body of the response; `None` if nobody listens.
pub fn request(method: &str, port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Sends a GET request.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    request("GET", port, path)
}
