//! A plain HTTP client for tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A request to a server on this machine.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The names, in lower case, and the values of the headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, port: u16, path: &str) -> Self {
        Self { method: method.into(), port, path: path.into(), headers: Vec::new(), body: String::new() }
    }

    /// A GET request.
    pub fn get(port: u16, path: &str) -> Self {
        Self::new("GET", port, path)
    }

    /// A POST request with a JSON body.
    pub fn post(port: u16, path: &str, body: &Value) -> Self {
        let request = Self::new("POST", port, path).header("Content-Type", "application/json");
        Self { body: body.to_string(), ..request }
    }

    /// A POST request with the fields of a form.
    pub fn form(port: u16, path: &str, body: &str) -> Self {
        let request = Self::new("POST", port, path).header("Content-Type", "application/x-www-form-urlencoded");
        Self { body: body.into(), ..request }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the request and reads the response; `None` if nobody listens.
    pub fn send(&self) -> Option<Response> {
        let mut stream = self.open()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Some(Response { status, headers, body: body.to_owned() })
    }

    /// Sends the request and reads the lines of the response as they arrive, those of the head first.
    pub fn lines(&self) -> impl Iterator<Item = String> + use<> {
        let stream = self.open().expect("somebody listens");
        BufReader::new(stream).lines().map_while(Result::ok)
    }

    fn open(&self) -> Option<TcpStream> {
        let Self { method, port, path, headers, body } = self;
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).ok()?;
        let is_named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = if is_named { String::new() } else { "Host: localhost\r\n".to_owned() };
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let length = body.len();
        // With HTTP/1.0, the server ends a response by closing the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\n{host}{headers}Content-Length: {length}\r\n\r\n{body}").ok()?;
        Some(stream)
    }
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request without a body, and returns the status and the body of the response; `None` if nobody listens.
pub fn request(method: &str, port: u16, path: &str) -> Option<(u16, String)> {
    Request::new(method, port, path).send().map(|response| (response.status, response.body))
}

/// Sends a GET request.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    request("GET", port, path)
}
