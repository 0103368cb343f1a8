//! A network link to a Redis server that fails on demand.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// A direction through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the clients to the server.
    ToServer,
    /// From the server to the clients.
    ToClient,
}

/// The handling of bytes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Forward the bytes.
    Pass,
    /// Delay each chunk by `by`, give or take `jitter`.
    Delay {
        /// The delay.
        by: Duration,
        /// The maximum deviation from `by`.
        jitter: Duration,
    },
    /// Hold the bytes back until the flow changes.
    Stall,
    /// Discard the bytes.
    Drop,
    /// Forward the bytes one by one.
    Trickle,
    /// Forward this many more bytes of each connection, then reset the connection.
    CutAfter(usize),
    /// Close this direction, as if the sender had finished.
    HalfClose,
}

/// A fault for one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server runs the command. The connection is reset before the reply.
    LoseReply,
    /// The server runs the command. Afterwards the direction to the client is at [`Flow::Stall`].
    StallReply,
    /// The server runs the command. Every byte of the values in its reply is changed.
    CorruptReply,
    /// The server doesn't see the command. The client gets this reply, such as `-LOADING Redis is loading the dataset
    /// in memory`.
    Reply(&'static str),
}

/// A proxy in front of a server on the loopback interface. Dropping the proxy closes every connection.
///
/// ```no_run
/// use pynenc_testkit::{Fault, Flow, Proxy, RedisServer, Direction};
///
/// let server = RedisServer::start();
/// let proxy = Proxy::in_front_of(&server);
/// proxy.set(Direction::ToClient, Flow::Stall);
/// proxy.set(Direction::ToClient, Flow::Pass);
/// proxy.once(b"SET", Fault::LoseReply);
/// println!("{}", proxy.url());
/// ```
pub struct Proxy {
    port: u16,
    url: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    to_server: watch::Sender<Flow>,
    to_client: watch::Sender<Flow>,
    resets: watch::Sender<u64>,
    blackholed: watch::Sender<Blackholed>,
    rules: Mutex<Vec<Rule>>,
}

type Selects = dyn Fn(&BTreeSet<String>) -> bool + Send + Sync;

/// Selects the connections to blackhole by the commands that they have carried.
#[derive(Clone)]
struct Blackholed(Arc<Selects>);

impl fmt::Debug for Blackholed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blackholed")
    }
}

#[derive(Debug)]
struct Rule {
    holds: Vec<u8>,
    skipped: usize,
    fault: Fault,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Starts a proxy on its own port and its own thread.
    ///
    /// # Panics
    ///
    /// Panics if no port or no thread is available.
    pub fn in_front_of(server: &crate::RedisServer) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can be set to non-blocking");
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(Shared {
            to_server: watch::Sender::new(Flow::Pass),
            to_client: watch::Sender::new(Flow::Pass),
            resets: watch::Sender::new(0),
            blackholed: watch::Sender::new(Blackholed(Arc::new(|_| false))),
            rules: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (behind, links) = (server.port(), shared.clone());
        std::thread::spawn(move || run(listener, behind, links, stopped));
        let url = server.url().replace(&format!(":{behind}/"), &format!(":{port}/"));
        Self { port, url, shared, _stop: stop }
    }

    /// The server's address through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the flow of one direction, for open and later connections.
    pub fn set(&self, direction: Direction, flow: Flow) {
        self.shared.flow(direction).send_replace(flow);
    }

    /// Changes the flow of both directions.
    pub fn set_both(&self, flow: Flow) {
        self.set(Direction::ToServer, flow);
        self.set(Direction::ToClient, flow);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// Makes open connections die without being closed: no byte passes in either direction. `selects` gets the names of
    /// the commands that a connection has carried, in capitals. Later connections work.
    pub fn blackhole(&self, selects: impl Fn(&BTreeSet<String>) -> bool + Send + Sync + 'static) {
        self.shared.blackholed.send_replace(Blackholed(Arc::new(selects)));
    }

    /// Applies a fault to the next command that contains these bytes.
    pub fn once(&self, holds: &[u8], fault: Fault) {
        self.nth(0, holds, fault);
    }

    /// Applies a fault to a command that contains these bytes, after `skipped` other such commands.
    pub fn nth(&self, skipped: usize, holds: &[u8], fault: Fault) {
        self.shared.rules().push(Rule { holds: holds.to_vec(), skipped, fault });
    }

    /// The number of faults of [`Proxy::once`] and [`Proxy::nth`] that are still waiting for their command.
    pub fn pending(&self) -> usize {
        self.shared.rules().len()
    }
}

impl Shared {
    fn flow(&self, direction: Direction) -> &watch::Sender<Flow> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the fault for a command, if a rule matches.
    fn fault(&self, command: &[u8]) -> Option<Fault> {
        let mut rules = self.rules();
        let index = rules.iter().position(|rule| contains(command, &rule.holds))?;
        if rules[index].skipped > 0 {
            rules[index].skipped -= 1;
            return None;
        }
        Some(rules.remove(index).fault)
    }
}

fn contains(command: &[u8], part: &[u8]) -> bool {
    command.windows(part.len().max(1)).any(|window| window.eq_ignore_ascii_case(part))
}

/// Changes the values of a reply and keeps its frame.
fn corrupt(reply: &mut [u8]) {
    let Some(line) = reply.windows(2).position(|pair| pair == b"\r\n").map(|end| end + 2) else { return };
    match reply[0] {
        b'$' => {
            let end = reply.len().saturating_sub(2).max(line);
            reply[line..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        b'*' => {
            let mut start = line;
            while let Some(length) = frame(&reply[start..]).filter(|_| start < reply.len()) {
                corrupt(&mut reply[start..start + length]);
                start += length;
            }
        }
        _ => {}
    }
}

/// The name of a command. It follows the count of words and the length of the name.
fn name(command: &[u8]) -> String {
    let word = command.split(|byte| *byte == b'\n').nth(2).unwrap_or_default();
    String::from_utf8_lossy(word).trim().to_ascii_uppercase()
}

fn run(listener: std::net::TcpListener, behind: u16, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
        tokio::select! {
            () = accept(listener, behind, shared) => {}
            // The sender is dropped with the proxy.
            _ = stopped => {}
        }
    });
}

async fn accept(listener: TcpListener, behind: u16, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        // While the server is down, the client sees its connection end.
        if let Ok(server) = TcpStream::connect(("127.0.0.1", behind)).await {
            tokio::spawn(link(client, server, shared.clone()));
        }
    }
}

/// Forwards one connection until a side closes it or it is reset.
async fn link(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    for stream in [&client, &server] {
        // A failure here only makes a test slower.
        let _ = stream.set_nodelay(true);
        // With zero linger, closing a stream resets the connection.
        let _ = stream.set_zero_linger();
    }
    let (mut resets, blackholed) = (shared.resets.subscribe(), shared.blackholed.subscribe());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let replies = Replies::default();
    let requests = Requests {
        shared: shared.clone(),
        replies: replies.clone(),
        to_client: Arc::new(tokio::sync::Mutex::new(Pipe::new(to_client, &shared.to_client))),
        carried: Mutex::default(),
    };
    let forwarding = async {
        tokio::select! {
            _ = requests.forward(from_client, Pipe::new(to_server, &shared.to_server)) => {}
            _ = replies.forward(from_server, &requests.to_client) => {}
            _ = resets.changed() => {}
        }
    };
    tokio::pin!(forwarding);
    tokio::select! {
        () = &mut forwarding => return,
        () = requests.blackholed(blackholed) => {}
    }
    // Both sides stay open, and nothing reads from them.
    std::future::pending::<()>().await;
}

/// The replies that a client expects, in the order of its commands.
#[derive(Debug, Clone, Default)]
struct Replies(Arc<Mutex<VecDeque<Expected>>>);

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    FromServer,
    Lost,
    Corrupted,
    Injected(&'static str),
}

impl Replies {
    fn expect_reply(&self, owed: Expected) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(owed);
    }

    fn next(&self) -> Option<Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Takes the injected replies at the front.
    fn injected(&self) -> Vec<&'static str> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut injected = Vec::new();
        while let Some(Expected::Injected(reply)) = owed.front() {
            injected.push(*reply);
            owed.pop_front();
        }
        injected
    }

    async fn forward(&self, mut from: OwnedReadHalf, to: &tokio::sync::Mutex<Pipe>) -> io::Result<()> {
        let mut buffer = Vec::new();
        while from.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = frame(&buffer) {
                let mut reply: Vec<u8> = buffer.drain(..length).collect();
                // A push message answers no command.
                let owed = if reply[0] == b'>' { None } else { self.next() };
                match owed {
                    Some(Expected::Lost) => return Ok(()),
                    Some(Expected::Corrupted) => corrupt(&mut reply),
                    _ => {}
                }
                to.lock().await.write(&reply).await?;
                answer(self, to).await?;
            }
        }
        Ok(())
    }
}

async fn answer(replies: &Replies, to: &tokio::sync::Mutex<Pipe>) -> io::Result<()> {
    for reply in replies.injected() {
        to.lock().await.write(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

struct Requests {
    shared: Arc<Shared>,
    replies: Replies,
    to_client: Arc<tokio::sync::Mutex<Pipe>>,
    /// The names of the commands of this connection.
    carried: Mutex<BTreeSet<String>>,
}

impl Requests {
    /// Waits until this connection is blackholed.
    async fn blackholed(&self, mut blackholed: watch::Receiver<Blackholed>) {
        while blackholed.changed().await.is_ok() {
            let Blackholed(selects) = blackholed.borrow_and_update().clone();
            if selects(&self.carried()) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    fn carried(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn forward(&self, mut from: OwnedReadHalf, mut to: Pipe) -> io::Result<()> {
        let mut buffer = Vec::new();
        while from.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = frame(&buffer) {
                let command: Vec<u8> = buffer.drain(..length).collect();
                self.carried().insert(name(&command));
                match self.shared.fault(&command) {
                    Some(Fault::Reply(reply)) => {
                        self.replies.expect_reply(Expected::Injected(reply));
                        if self.is_idle() {
                            answer(&self.replies, &self.to_client).await?;
                        }
                        continue;
                    }
                    Some(Fault::LoseReply) => self.replies.expect_reply(Expected::Lost),
                    Some(Fault::CorruptReply) => self.replies.expect_reply(Expected::Corrupted),
                    Some(Fault::StallReply) => {
                        self.shared.to_client.send_replace(Flow::Stall);
                        self.replies.expect_reply(Expected::FromServer);
                    }
                    None => self.replies.expect_reply(Expected::FromServer),
                }
                to.write(&command).await?;
            }
        }
        Ok(())
    }

    /// Whether no reply of the server is due before an injected one.
    fn is_idle(&self) -> bool {
        let owed = self.replies.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(owed.front(), None | Some(Expected::Injected(_)))
    }
}

/// The write side of one direction, with its flow.
struct Pipe {
    to: OwnedWriteHalf,
    flow: watch::Receiver<Flow>,
    passed: usize,
}

impl Pipe {
    fn new(to: OwnedWriteHalf, flow: &watch::Sender<Flow>) -> Self {
        Self { to, flow: flow.subscribe(), passed: 0 }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            let flow = *self.flow.borrow_and_update();
            match flow {
                Flow::Pass => return self.to.write_all(bytes).await,
                Flow::Drop => return Ok(()),
                Flow::Trickle => return self.trickle(bytes).await,
                Flow::CutAfter(limit) => return self.cut_after(limit, bytes).await,
                Flow::HalfClose => return self.half_close().await,
                Flow::Delay { by, jitter } => {
                    tokio::time::sleep(varied(by, jitter)).await;
                    return self.to.write_all(bytes).await;
                }
                Flow::Stall => {
                    if self.flow.changed().await.is_err() {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
            }
        }
    }

    async fn trickle(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.to.write_all(&[*byte]).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn cut_after(&mut self, limit: usize, bytes: &[u8]) -> io::Result<()> {
        let room = limit.saturating_sub(self.passed).min(bytes.len());
        self.to.write_all(&bytes[..room]).await?;
        self.passed += room;
        if room < bytes.len() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    async fn half_close(&mut self) -> io::Result<()> {
        self.to.shutdown().await?;
        std::future::pending().await
    }
}

fn varied(by: Duration, jitter: Duration) -> Duration {
    (by + jitter.mul_f64(2.0 * fastrand::f64())).saturating_sub(jitter)
}

/// The length of the first complete value in a buffer.
fn frame(buffer: &[u8]) -> Option<usize> {
    let line = buffer.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&buffer[1..line - 2]).ok()?.parse::<i64>().ok();
    match buffer[0] {
        b'$' | b'=' | b'!' => {
            // A negative length means that there is no value.
            let length = count().and_then(|count| usize::try_from(count).ok()).map_or(line, |count| line + count + 2);
            (buffer.len() >= length).then_some(length)
        }
        b'*' | b'~' | b'>' => values(buffer, line, count().unwrap_or(0)),
        b'%' => values(buffer, line, 2 * count().unwrap_or(0)),
        _ => Some(line),
    }
}

fn values(buffer: &[u8], mut length: usize, count: i64) -> Option<usize> {
    for _ in 0..count.max(0) {
        length += frame(&buffer[length..])?;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::RedisServer;

    #[test]
    fn a_frame_ends_where_its_length_says() {
        for (bytes, length) in [
            (&b"+OK\r\nrest"[..], Some(5)),
            (b"$3\r\nabc\r\n", Some(9)),
            (b"$3\r\nabc\r", None),
            (b"$-1\r\n+", Some(5)),
            (b"*2\r\n:1\r\n$1\r\nx\r\n:9\r\n", Some(15)),
            (b"*2\r\n:1\r\n", None),
            (b"%1\r\n+k\r\n+v\r\n", Some(12)),
            (b"*-1\r\n", Some(5)),
            (b"", None),
        ] {
            assert_eq!(frame(bytes), length, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    fn talk(proxy: &Proxy) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn ask(stream: &mut std::net::TcpStream, commands: &[&str], length: usize) -> io::Result<String> {
        for command in commands {
            let words: Vec<_> = command.split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
            stream.write_all(format!("*{}\r\n{}", words.len(), words.concat()).as_bytes())?;
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn a_lost_reply_belongs_to_a_command_that_ran() {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(&server);
        proxy.nth(1, b"incr", Fault::LoseReply);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["INCR n"], 4).unwrap(), ":1\r\n");
        assert!(ask(&mut stream, &["INCR n"], 1).is_err());
        assert_eq!((server.command(&["GET", "n"]).as_str(), proxy.pending()), ("2", 0));
    }

    #[test]
    fn the_values_of_a_reply_are_corrupted_once() {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(&server);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["RPUSH l ab c"], 4).unwrap(), ":2\r\n");
        proxy.once(b"LRANGE", Fault::CorruptReply);
        let all = "*2\r\n$2\r\n47\r\n$1\r\n6\r\n";
        assert_eq!(ask(&mut stream, &["LRANGE l 0 -1"], all.len()).unwrap(), all);
        assert_eq!(ask(&mut stream, &["LINDEX l 1"], 7).unwrap(), "$1\r\nc\r\n");
    }

    #[test]
    fn an_injected_reply_keeps_the_order_of_commands() {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(&server);
        proxy.once(b"SET", Fault::Reply("-OOM no"));
        let answer = ask(&mut talk(&proxy), &["PING", "SET k v", "PING"], 23).unwrap();
        assert_eq!(answer, "+PONG\r\n-OOM no\r\n+PONG\r\n");
        assert_eq!(server.command(&["EXISTS", "k"]), "0");
    }

    #[test]
    fn a_blackholed_connection_stays_open_and_carries_nothing() {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(&server);
        let (mut blackholed, mut other) = (talk(&proxy), talk(&proxy));
        assert_eq!(ask(&mut blackholed, &["SET n 1"], 5).unwrap(), "+OK\r\n");
        assert_eq!(ask(&mut other, &["PING"], 7).unwrap(), "+PONG\r\n");
        proxy.blackhole(|carried| carried.contains("SET"));
        assert_eq!(ask(&mut other, &["PING"], 7).unwrap(), "+PONG\r\n");
        blackholed.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silent = ask(&mut blackholed, &["INCR n"], 1).unwrap_err();
        assert!(matches!(silent.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{silent}");
        proxy.blackhole(|_| true);
        other.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(ask(&mut other, &["PING"], 1).is_err());
        assert_eq!(ask(&mut talk(&proxy), &["GET n"], 7).unwrap(), "$1\r\n1\r\n");
    }

    #[test]
    fn the_flow_of_an_open_connection_can_change() {
        let server = RedisServer::start();
        let proxy = Proxy::in_front_of(&server);
        let mut stream = talk(&proxy);
        for flow in [Flow::Trickle, Flow::Delay { by: Duration::from_millis(2), jitter: Duration::from_millis(2) }] {
            proxy.set_both(flow);
            assert_eq!(ask(&mut stream, &["PING"], 7).unwrap(), "+PONG\r\n");
        }
        proxy.set(Direction::ToClient, Flow::Stall);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(ask(&mut stream, &["PING"], 7).is_err());
        proxy.set(Direction::ToClient, Flow::CutAfter(3));
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest);
        assert!(closed.is_err() || rest.len() == 3, "{closed:?} {rest:?}");
        proxy.set_both(Flow::Pass);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["PING"], 7).unwrap(), "+PONG\r\n");
        proxy.reset();
        assert!(ask(&mut stream, &["PING"], 7).is_err());
    }
}
