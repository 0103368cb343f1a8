//! A link to a Redis server that can be disturbed.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// A way through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What clients send.
    ToServer,
    /// What the server answers.
    ToClient,
}

/// What happens to the bytes that go one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Pass,
    /// Each piece waits so long, give or take `jitter`.
    Delay {
        /// The wait.
        by: Duration,
        /// By how much it varies.
        jitter: Duration,
    },
    /// They stay where they are until the flow changes.
    Stall,
    /// They vanish.
    Drop,
    /// They pass one by one.
    Trickle,
    /// So many more of each connection pass, then the connection is reset.
    CutAfter(usize),
    /// They end, as if their sender had nothing more to say.
    HalfClose,
}

/// What happens to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server runs it, and the connection is reset instead of bringing the reply.
    LoseReply,
    /// The server runs it, and from then on nothing comes back: the way to the client is at [`Flow::Stall`].
    StallReply,
    /// The server runs it, and every byte of the values in its reply is another one.
    GarbleReply,
    /// The server never sees it: this is the reply, such as `-LOADING Redis is loading the dataset in memory`.
    Answer(&'static str),
}

/// A proxy in front of a server on the loopback. Dropped, it closes every connection.
///
/// ```no_run
/// use pynenc_testkit::{Fault, Flow, Proxy, RedisServer, Way};
///
/// let server = RedisServer::start();
/// let proxy = Proxy::before(&server);
/// proxy.set(Way::ToClient, Flow::Stall);
/// proxy.set(Way::ToClient, Flow::Pass);
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
    swallowed: watch::Sender<Swallowed>,
    rules: Mutex<Vec<Rule>>,
}

type IsMeant = dyn Fn(&BTreeSet<String>) -> bool + Send + Sync;

/// Whether a connection that has carried these commands is among the ones that were swallowed last.
#[derive(Clone)]
struct Swallowed(Arc<IsMeant>);

impl fmt::Debug for Swallowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swallowed")
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
    /// A proxy on a port of its own, on a thread of its own.
    ///
    /// # Panics
    ///
    /// No port is free, or no thread.
    pub fn before(server: &crate::RedisServer) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a listener may be made not to block");
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(Shared {
            to_server: watch::Sender::new(Flow::Pass),
            to_client: watch::Sender::new(Flow::Pass),
            resets: watch::Sender::new(0),
            swallowed: watch::Sender::new(Swallowed(Arc::new(|_| false))),
            rules: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (behind, links) = (server.port(), shared.clone());
        std::thread::spawn(move || run(listener, behind, links, stopped));
        let url = server.url().replace(&format!(":{behind}/"), &format!(":{port}/"));
        Self { port, url, shared, _stop: stop }
    }

    /// The server's address by way of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens to the bytes that go one way, of every connection, now and later.
    pub fn set(&self, way: Way, flow: Flow) {
        self.shared.flow(way).send_replace(flow);
    }

    /// Changes both ways.
    pub fn set_both(&self, flow: Flow) {
        self.set(Way::ToServer, flow);
        self.set(Way::ToClient, flow);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// Has present connections die without being closed: nothing passes any more, either way. `is_meant` is told the names
    /// of the commands that a connection has carried, in capitals. Later connections pass.
    pub fn swallow(&self, is_meant: impl Fn(&BTreeSet<String>) -> bool + Send + Sync + 'static) {
        self.shared.swallowed.send_replace(Swallowed(Arc::new(is_meant)));
    }

    /// Does this to the next command that holds these bytes.
    pub fn once(&self, holds: &[u8], fault: Fault) {
        self.nth(0, holds, fault);
    }

    /// Does this to a command that holds these bytes, behind as many others that do.
    pub fn nth(&self, skipped: usize, holds: &[u8], fault: Fault) {
        self.shared.rules().push(Rule { holds: holds.to_vec(), skipped, fault });
    }

    /// How many commands are still waited for by [`Proxy::once`] and [`Proxy::nth`].
    pub fn pending(&self) -> usize {
        self.shared.rules().len()
    }
}

impl Shared {
    fn flow(&self, way: Way) -> &watch::Sender<Flow> {
        match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done to a command; a rule is used up.
    fn fault(&self, command: &[u8]) -> Option<Fault> {
        let mut rules = self.rules();
        let place = rules.iter().position(|rule| contains(command, &rule.holds))?;
        if rules[place].skipped > 0 {
            rules[place].skipped -= 1;
            return None;
        }
        Some(rules.remove(place).fault)
    }
}

fn contains(command: &[u8], part: &[u8]) -> bool {
    command.windows(part.len().max(1)).any(|window| window.eq_ignore_ascii_case(part))
}

/// Changes the values of a reply, and leaves its frame as it is.
fn garble(reply: &mut [u8]) {
    let Some(line) = reply.windows(2).position(|pair| pair == b"\r\n").map(|end| end + 2) else { return };
    match reply[0] {
        b'$' => {
            let end = reply.len().saturating_sub(2).max(line);
            reply[line..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        b'*' => {
            let mut start = line;
            while let Some(length) = frame(&reply[start..]).filter(|_| start < reply.len()) {
                garble(&mut reply[start..start + length]);
                start += length;
            }
        }
        _ => {}
    }
}

/// The name of a command, which stands behind its count of words and the length of the name.
fn name(command: &[u8]) -> String {
    let word = command.split(|byte| *byte == b'\n').nth(2).unwrap_or_default();
    String::from_utf8_lossy(word).trim().to_ascii_uppercase()
}

fn run(listener: std::net::TcpListener, behind: u16, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a test may have a runtime");
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).expect("the listener doesn't block");
        tokio::select! {
            () = accept(listener, behind, shared) => {}
            // The sender's end is the proxy's.
            _ = stopped => {}
        }
    });
}

async fn accept(listener: TcpListener, behind: u16, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        // Without a server there is nobody to be connected to, which the client sees as a connection that ends.
        if let Ok(server) = TcpStream::connect(("127.0.0.1", behind)).await {
            tokio::spawn(link(client, server, shared.clone()));
        }
    }
}

/// One connection, until one of its ends is gone or it is cut.
async fn link(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    for stream in [&client, &server] {
        // Without it a test would only be slower.
        let _ = stream.set_nodelay(true);
        // What is closed is reset.
        let _ = stream.set_zero_linger();
    }
    let (mut resets, swallowed) = (shared.resets.subscribe(), shared.swallowed.subscribe());
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
        () = requests.swallowed(swallowed) => {}
    }
    // Both ends stay open, and nobody reads from them.
    std::future::pending::<()>().await;
}

/// What is owed to a client, in the order of its commands.
#[derive(Debug, Clone, Default)]
struct Replies(Arc<Mutex<VecDeque<Owed>>>);

#[derive(Debug, PartialEq, Eq)]
enum Owed {
    Servers,
    Lost,
    Garbled,
    Ours(&'static str),
}

impl Replies {
    fn owe(&self, owed: Owed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(owed);
    }

    fn next(&self) -> Option<Owed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Takes the replies of ours that are next.
    fn ours(&self) -> Vec<&'static str> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ours = Vec::new();
        while let Some(Owed::Ours(reply)) = owed.front() {
            ours.push(*reply);
            owed.pop_front();
        }
        ours
    }

    async fn forward(&self, mut from: OwnedReadHalf, to: &tokio::sync::Mutex<Pipe>) -> io::Result<()> {
        let mut buffer = Vec::new();
        while from.read_buf(&mut buffer).await? > 0 {
            while let Some(length) = frame(&buffer) {
                let mut reply: Vec<u8> = buffer.drain(..length).collect();
                // What is pushed answers no command.
                let owed = if reply[0] == b'>' { None } else { self.next() };
                match owed {
                    Some(Owed::Lost) => return Ok(()),
                    Some(Owed::Garbled) => garble(&mut reply),
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
    for reply in replies.ours() {
        to.lock().await.write(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

struct Requests {
    shared: Arc<Shared>,
    replies: Replies,
    to_client: Arc<tokio::sync::Mutex<Pipe>>,
    /// The names of its commands.
    carried: Mutex<BTreeSet<String>>,
}

impl Requests {
    /// Waits until this connection is to be swallowed.
    async fn swallowed(&self, mut swallowed: watch::Receiver<Swallowed>) {
        while swallowed.changed().await.is_ok() {
            let Swallowed(is_meant) = swallowed.borrow_and_update().clone();
            if is_meant(&self.carried()) {
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
                    Some(Fault::Answer(reply)) => {
                        self.replies.owe(Owed::Ours(reply));
                        if self.is_idle() {
                            answer(&self.replies, &self.to_client).await?;
                        }
                        continue;
                    }
                    Some(Fault::LoseReply) => self.replies.owe(Owed::Lost),
                    Some(Fault::GarbleReply) => self.replies.owe(Owed::Garbled),
                    Some(Fault::StallReply) => {
                        self.shared.to_client.send_replace(Flow::Stall);
                        self.replies.owe(Owed::Servers);
                    }
                    None => self.replies.owe(Owed::Servers),
                }
                to.write(&command).await?;
            }
        }
        Ok(())
    }

    /// Whether no reply of the server is due, behind which ours would have its turn.
    fn is_idle(&self) -> bool {
        let owed = self.replies.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(owed.front(), None | Some(Owed::Ours(_)))
    }
}

/// The end of a way, with what happens to what goes through it.
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

/// The length of the first value of a buffer, if all of it is there.
fn frame(buffer: &[u8]) -> Option<usize> {
    let line = buffer.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let count = || std::str::from_utf8(&buffer[1..line - 2]).ok()?.parse::<i64>().ok();
    match buffer[0] {
        b'$' | b'=' | b'!' => {
            // A negative one says that there is no value.
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
    fn a_value_is_as_long_as_it_says() {
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
    fn a_command_is_run_and_its_reply_lost() {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server);
        proxy.nth(1, b"incr", Fault::LoseReply);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["INCR n"], 4).unwrap(), ":1\r\n");
        assert!(ask(&mut stream, &["INCR n"], 1).is_err());
        assert_eq!((server.command(&["GET", "n"]).as_str(), proxy.pending()), ("2", 0));
    }

    #[test]
    fn the_values_of_a_reply_are_garbled_once() {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["RPUSH l ab c"], 4).unwrap(), ":2\r\n");
        proxy.once(b"LRANGE", Fault::GarbleReply);
        let all = "*2\r\n$2\r\n47\r\n$1\r\n6\r\n";
        assert_eq!(ask(&mut stream, &["LRANGE l 0 -1"], all.len()).unwrap(), all);
        assert_eq!(ask(&mut stream, &["LINDEX l 1"], 7).unwrap(), "$1\r\nc\r\n");
    }

    #[test]
    fn a_reply_of_ours_comes_in_its_turn() {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server);
        proxy.once(b"SET", Fault::Answer("-OOM no"));
        let answer = ask(&mut talk(&proxy), &["PING", "SET k v", "PING"], 23).unwrap();
        assert_eq!(answer, "+PONG\r\n-OOM no\r\n+PONG\r\n");
        assert_eq!(server.command(&["EXISTS", "k"]), "0");
    }

    #[test]
    fn a_swallowed_connection_stays_open_and_carries_nothing() {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server);
        let (mut swallowed, mut other) = (talk(&proxy), talk(&proxy));
        assert_eq!(ask(&mut swallowed, &["SET n 1"], 5).unwrap(), "+OK\r\n");
        assert_eq!(ask(&mut other, &["PING"], 7).unwrap(), "+PONG\r\n");
        proxy.swallow(|carried| carried.contains("SET"));
        assert_eq!(ask(&mut other, &["PING"], 7).unwrap(), "+PONG\r\n");
        swallowed.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silent = ask(&mut swallowed, &["INCR n"], 1).unwrap_err();
        assert!(matches!(silent.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{silent}");
        proxy.swallow(|_| true);
        other.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(ask(&mut other, &["PING"], 1).is_err());
        assert_eq!(ask(&mut talk(&proxy), &["GET n"], 7).unwrap(), "$1\r\n1\r\n");
    }

    #[test]
    fn flows_change_while_a_connection_lasts() {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server);
        let mut stream = talk(&proxy);
        for flow in [Flow::Trickle, Flow::Delay { by: Duration::from_millis(2), jitter: Duration::from_millis(2) }] {
            proxy.set_both(flow);
            assert_eq!(ask(&mut stream, &["PING"], 7).unwrap(), "+PONG\r\n");
        }
        proxy.set(Way::ToClient, Flow::Stall);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(ask(&mut stream, &["PING"], 7).is_err());
        proxy.set(Way::ToClient, Flow::CutAfter(3));
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_err() || rest.len() == 3, "{ended:?} {rest:?}");
        proxy.set_both(Flow::Pass);
        let mut stream = talk(&proxy);
        assert_eq!(ask(&mut stream, &["PING"], 7).unwrap(), "+PONG\r\n");
        proxy.reset();
        assert!(ask(&mut stream, &["PING"], 7).is_err());
    }
}
