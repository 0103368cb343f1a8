//! A Redis server for a test, and the faults that can be done to it.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct RedisServerOptions {
    /// The port that it listens on; a free one where none is named.
    pub port: Option<u16>,
    /// Arguments behind those of the fixture, such as `["--maxmemory-policy", "allkeys-lru"]`.
    pub arguments: Vec<String>,
    /// The password that it asks for.
    pub password: Option<String>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// Whether [`RedisServer::fill_disk`] may be done to it.
    pub limited_disk: bool,
}

/// A private server on a free port of the loopback, with its data in a folder of its own. It is killed when it is
/// dropped.
///
/// ```no_run
/// use pynenc_testkit::RedisServer;
///
/// let mut server = RedisServer::start();
/// server.config_set("maxmemory", "1mb");
/// server.kill9();
/// server.restart();
/// println!("{}", server.url());
/// ```
pub struct RedisServer {
    options: RedisServerOptions,
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

/// The server's process, and one that ends it when the test's own process is gone: a server in a static is never dropped.
struct Process {
    server: Child,
    guard: Child,
}

impl Process {
    fn start(mut server: Child, folder: &Path) -> io::Result<Self> {
        // What it reads from ends with the process that holds the other end.
        let script = "cat > /dev/null; kill -9 \"$0\"; rm -rf \"$1\"";
        let id = server.id().to_string();
        let guard = Command::new("sh").args(["-c", script, &id]).arg(folder).stdin(Stdio::piped()).spawn();
        match guard {
            Ok(guard) => Ok(Self { server, guard }),
            Err(error) => {
                server.kill()?;
                server.wait()?;
                Err(error)
            }
        }
    }

    /// The guard goes first: it must not outlive the server's number.
    fn kill(mut self) {
        for process in [&mut self.guard, &mut self.server] {
            // It may have ended by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.process.as_ref().map(|process| process.server.id());
        f.debug_struct("RedisServer").field("port", &self.port).field("process", &id).finish_non_exhaustive()
    }
}

impl RedisServer {
    /// Starts a server that keeps what it acknowledges in an append-only file.
    ///
    /// # Panics
    ///
    /// No `redis-server` is installed, or it doesn't start; the message says what to do.
    pub fn start() -> Self {
        Self::start_with(RedisServerOptions::default())
    }

    /// Starts a server with options.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn start_with(options: RedisServerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a test may make a folder");
        let port = options.port.unwrap_or_else(free_port);
        let mut server = Self { options, port, folder, process: None };
        server.restart();
        server
    }

    /// Its address.
    pub fn url(&self) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}/0", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it, without a chance to write anything.
    pub fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Starts it on its port and its data again; kills it first if it runs.
    pub fn restart(&mut self) {
        self.restart_with(&[], &["PONG"]);
    }

    /// As [`RedisServer::restart`], but it takes so long for each command that it has written down, and this call doesn't
    /// wait for it: until then the server answers with `-LOADING`. It answers only after each thousand commands.
    pub fn restart_slowly(&mut self, each: Duration) {
        let each = each.as_micros().to_string();
        let mut arguments = vec!["--key-load-delay", &each];
        if is_seven_or_newer() {
            arguments.extend(["--loading-process-events-interval-bytes", "1024"]);
        }
        self.restart_with(&arguments, &["PONG", "LOADING"]);
    }

    fn restart_with(&mut self, more: &[&str], is_up: &[&str]) {
        self.kill9();
        for attempt in 0.. {
            match self.launch(more, is_up) {
                Ok(server) => {
                    self.process = Some(Process::start(server, self.folder()).expect("a test may start a shell"));
                    return;
                }
                // Another process may have been faster to the port.
                Err(_) if attempt < 3 && !self.has_data() && self.options.port.is_none() => self.port = free_port(),
                Err(log) => panic!("redis-server doesn't start on port {}:\n{log}", self.port),
            }
        }
    }

    fn has_data(&self) -> bool {
        self.folder().join("appendonlydir").exists() || self.folder().join("appendonly.aof").exists()
    }

    fn launch(&self, more: &[&str], is_up: &[&str]) -> Result<Child, String> {
        let mut command = self.program();
        command.args(self.arguments()).args(more).current_dir(self.folder()).stdin(Stdio::null());
        command.stdout(self.log()).stderr(self.log());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{}", missing(&error)));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if process.try_wait().expect("a child may be asked").is_some() {
                return Err(self.logged());
            }
            let answer = self.try_command(&["PING"]).unwrap_or_else(|error| error.to_string());
            if is_up.iter().any(|known| answer.starts_with(known)) {
                return Ok(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        process.kill().expect("a child may be killed");
        process.wait().expect("a child may be waited for");
        Err(self.logged())
    }

    /// A process that ignores the signal of a file that has become too long is told so by the write.
    fn program(&self) -> Command {
        if !self.options.limited_disk {
            return Command::new(program());
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", &program()]);
        shell
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = [
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--appendfsync",
            "no",
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        .map(str::to_owned)
        .into();
        if is_seven_or_newer() {
            arguments.extend(["--enable-debug-command", "local"].map(str::to_owned));
        }
        if let Some(password) = &self.options.password {
            arguments.extend(["--requirepass".to_owned(), password.clone()]);
        }
        if self.options.cluster {
            arguments.extend(["--cluster-enabled", "yes"].map(str::to_owned));
        }
        arguments.extend(self.options.arguments.iter().cloned());
        arguments
    }

    fn log(&self) -> Stdio {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path());
        file.expect("a test may write to its folder").into()
    }

    fn log_path(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Stops its process where it stands, so that it answers nobody.
    pub fn pause(&self) {
        self.send_signal("STOP");
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        self.send_signal("CONT");
    }

    fn send_signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the server runs");
        crate::signal(process.server.id(), name);
    }

    /// Cuts the last bytes off what it has written down, as a crash of its machine may; it must not run.
    ///
    /// # Panics
    ///
    /// It runs, or has written nothing down.
    pub fn truncate_aof(&self, bytes: u64) {
        assert!(self.process.is_none(), "what a server has open isn't cut");
        let path = self.last_aof().expect("the server wrote something down");
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("a test may write to its folder");
        let length = file.metadata().expect("a file has a length").len();
        file.set_len(length.saturating_sub(bytes)).expect("a file may be cut");
    }

    /// How much it has written down since its last rewrite, in bytes: a mark for [`RedisServer::forget_since`].
    pub fn written_down(&self) -> u64 {
        let path = self.last_aof().expect("the server wrote something down");
        path.metadata().expect("a file has a length").len()
    }

    /// Loses whatever was written down since a mark, though it was acknowledged, as a replica does that hadn't got it when
    /// it took over; it must not run.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::truncate_aof`].
    pub fn forget_since(&self, mark: u64) {
        self.truncate_aof(self.written_down().saturating_sub(mark));
    }

    /// Lets it write nothing more to its files, as if the disk were full. Whether this machine can do that.
    ///
    /// # Panics
    ///
    /// It wasn't started with `limited_disk`.
    pub fn fill_disk(&self) -> bool {
        assert!(self.options.limited_disk, "a server without `limited_disk` would be killed");
        self.limit_files("1:unlimited")
    }

    /// Lets it write to its files again.
    pub fn empty_disk(&self) {
        assert!(self.limit_files("unlimited:unlimited"), "what could be limited can be freed");
    }

    fn limit_files(&self, limit: &str) -> bool {
        let process = self.process.as_ref().expect("the server runs").server.id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={limit}")]).status();
        limited.is_ok_and(|status| status.success())
    }

    fn last_aof(&self) -> Option<PathBuf> {
        let single = self.folder().join("appendonly.aof");
        let parts = std::fs::read_dir(self.folder().join("appendonlydir")).into_iter().flatten().flatten();
        let last = parts.map(|part| part.path()).filter(|path| path.extension().is_some_and(|end| end == "aof")).max();
        last.or_else(|| single.exists().then_some(single))
    }

    /// Makes it a replica of another server.
    pub fn replicate_from(&self, other: &Self) {
        assert_eq!(self.command(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]), "OK");
    }

    /// Makes it a primary again.
    pub fn promote(&self) {
        assert_eq!(self.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    }

    /// Answers no client for a while.
    pub fn client_pause(&self, length: Duration) {
        assert_eq!(self.command(&["CLIENT", "PAUSE", &length.as_millis().to_string(), "ALL"]), "OK");
    }

    /// Changes a setting while it runs.
    pub fn config_set(&self, name: &str, value: &str) {
        assert_eq!(self.command(&["CONFIG", "SET", name, value]), "OK");
    }

    /// Drops every script that it has cached.
    pub fn script_flush(&self) {
        assert_eq!(self.command(&["SCRIPT", "FLUSH"]), "OK");
    }

    /// Drops every function that it keeps; a server before version 7 keeps none.
    pub fn function_flush(&self) {
        if self.has_command("FUNCTION") {
            assert_eq!(self.command(&["FUNCTION", "FLUSH"]), "OK");
        }
    }

    /// Whether it knows a command.
    pub fn has_command(&self, name: &str) -> bool {
        !self.command(&["COMMAND", "INFO", name]).is_empty()
    }

    /// Cuts every connection of clients.
    pub fn kill_clients(&self) {
        self.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    /// Runs a command and gives its answer as text; a list is given a line for each value.
    ///
    /// # Panics
    ///
    /// It doesn't answer, or answers with an error.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a command, as [`RedisServer::command`].
    ///
    /// # Errors
    ///
    /// It doesn't answer, or answers with an error.
    pub fn try_command(&self, words: &[&str]) -> io::Result<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.options.password {
            send(&mut stream, &["AUTH", password])?;
            answer(&mut stream)?;
        }
        send(&mut stream, words)?;
        answer(&mut stream)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn program() -> String {
    std::env::var("PYNENC_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

fn missing(error: &io::Error) -> String {
    format!(
        "`{}` can't be started ({error}): install it (`apt-get install redis-server`, `brew install redis`), or set \
         PYNENC_TEST_REDIS_SERVER to where it is",
        program()
    )
}

/// Some options of the configuration came with version 7.
fn is_seven_or_newer() -> bool {
    static MAJOR: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        let output = Command::new(program()).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let version = text.split("v=").nth(1).unwrap_or_default();
        version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    });
    *MAJOR >= 7
}

/// A port that nobody has; in a cluster the one 10,000 above is used too.
fn free_port() -> u16 {
    for _ in 0..200 {
        let port = fastrand::u16(20_000..50_000);
        let are_free = [port, port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if are_free == [true, true] {
            return port;
        }
    }
    panic!("no free port was found");
}

fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    stream.get_mut().write_all(&request)
}

fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.trim_end();
    let (sort, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
    let count = || rest.parse::<usize>().unwrap_or(0);
    match sort {
        "-" => Err(io::Error::other(rest.to_owned())),
        "$" if rest == "-1" => Ok(String::new()),
        "$" => {
            let mut bytes = vec![0; count() + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(count());
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => Ok((0..count()).map(|_| answer(stream)).collect::<io::Result<Vec<_>>>()?.join("\n")),
        _ => Ok(rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_survives_a_kill() {
        let mut server = RedisServer::start();
        server.config_set("appendfsync", "always");
        server.command(&["SET", "key", "value"]);
        server.kill9();
        assert!(server.try_command(&["PING"]).is_err());
        server.restart();
        assert_eq!(server.command(&["GET", "key"]), "value");
    }

    #[test]
    fn what_was_written_down_last_can_be_lost() {
        let mut server = RedisServer::start();
        server.command(&["SET", "first", "kept"]);
        server.command(&["SET", "second", "lost"]);
        server.kill9();
        server.truncate_aof(3);
        server.restart();
        assert_eq!(server.command(&["MGET", "first", "second"]), "kept\n");
    }

    #[test]
    fn what_was_acknowledged_since_a_mark_can_be_lost() {
        let mut server = RedisServer::start();
        server.command(&["SET", "first", "kept"]);
        let mark = server.written_down();
        server.command(&["SET", "second", "lost"]);
        server.command(&["SET", "third", "lost"]);
        server.kill9();
        server.forget_since(mark);
        server.restart();
        assert_eq!(server.command(&["MGET", "first", "second", "third"]), "kept\n\n");
    }

    #[test]
    fn a_server_that_restarts_slowly_is_loading() {
        let mut server = RedisServer::start();
        server.command(&["EVAL", "for n = 1, 5000 do redis.call('SET', 'key-' .. n, n) end", "0"]);
        server.kill9();
        server.restart_slowly(Duration::from_micros(200));
        let answer = server.try_command(&["GET", "key-1"]).unwrap_err().to_string();
        assert!(answer.contains("LOADING"), "{answer}");
        while server.try_command(&["PING"]).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.command(&["DBSIZE"]), "5000");
    }

    #[test]
    fn a_server_with_a_full_disk_takes_no_writes_until_it_is_mended() {
        let server = RedisServer::start_with(RedisServerOptions { limited_disk: true, ..Default::default() });
        if !server.fill_disk() {
            return println!("this machine can't limit the files of a process");
        }
        let refused =
            || server.try_command(&["SET", "key", "value"]).is_err_and(|it| it.to_string().contains("MISCONF"));
        assert!((0..200).any(|_| refused()), "{}", server.command(&["INFO", "persistence"]));
        server.empty_disk();
        while refused() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_replica_follows_until_it_is_promoted() {
        let (primary, replica) = (RedisServer::start(), RedisServer::start());
        replica.replicate_from(&primary);
        assert!(
            replica.try_command(&["SET", "key", "value"]).is_err_and(|error| error.to_string().contains("READONLY"))
        );
        replica.promote();
        assert_eq!(replica.command(&["SET", "key", "value"]), "OK");
    }

    #[test]
    fn a_stopped_server_goes_on() {
        let server = RedisServer::start();
        server.pause();
        server.resume();
        assert_eq!(server.command(&["PING"]), "PONG");
    }
}
