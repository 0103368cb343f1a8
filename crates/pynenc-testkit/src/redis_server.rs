//! A Redis server for tests that can be killed, paused and damaged.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{TestProcess, limit_files, signal, without_xfsz};

/// The longest time for a server to start or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Options of a server.
#[derive(Debug, Clone, Default)]
pub struct RedisServerOptions {
    /// The port. `None` picks a free one.
    pub port: Option<u16>,
    /// Arguments after the fixture's own, such as `["--maxmemory-policy", "allkeys-lru"]`.
    pub arguments: Vec<String>,
    /// The password that clients must send.
    pub password: Option<String>,
    /// Whether the server is a cluster node.
    pub cluster: bool,
    /// Whether [`RedisServer::fill_disk`] is supported.
    pub limited_disk: bool,
}

/// A private server on a free loopback port, with its data in a temporary folder. Dropping it kills the server.
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

/// The server's process, and a guard process. The guard kills the server when the test process exits, because statics
/// are never dropped.
struct Process {
    server: TestProcess,
    guard: Child,
}

impl Process {
    fn start(server: TestProcess, folder: &Path) -> io::Result<Self> {
        // The guard's standard input closes when the test process exits.
        let script = "cat > /dev/null; kill -9 \"$0\"; rm -rf \"$1\"";
        let id = server.id().to_string();
        let guard = Command::new("sh").args(["-c", script, &id]).arg(folder).stdin(Stdio::piped()).spawn()?;
        Ok(Self { server, guard })
    }
}

impl Drop for Process {
    /// Kills the guard before the server, because the server's process id may be reused afterwards.
    fn drop(&mut self) {
        // Both fail if the guard has already exited.
        drop(self.guard.kill());
        drop(self.guard.wait());
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.process.as_ref().map(|process| process.server.id());
        f.debug_struct("RedisServer").field("port", &self.port).field("process", &id).finish_non_exhaustive()
    }
}

impl RedisServer {
    /// Starts a server that writes acknowledged commands to an append-only file.
    ///
    /// # Panics
    ///
    /// Panics if `redis-server` isn't installed or doesn't start. The message says how to fix it.
    pub fn start() -> Self {
        Self::start_with(RedisServerOptions::default())
    }

    /// Starts a server with options.
    ///
    /// # Panics
    ///
    /// Panics like [`RedisServer::start`].
    pub fn start_with(options: RedisServerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let port = options.port.unwrap_or_else(free_port);
        let mut server = Self { options, port, folder, process: None };
        server.restart();
        server
    }

    /// The server's URL.
    pub fn url(&self) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}/0", self.port)
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with the server's data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the server with SIGKILL.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Starts the server again on its port and its data. A running server is killed first.
    pub fn restart(&mut self) {
        self.restart_with(&[], &["PONG"]);
    }

    /// Restarts the server with a delay for each command in its append-only file, without waiting for it. While it
    /// loads, the server answers `-LOADING`, once per thousand commands.
    pub fn restart_slowly(&mut self, each: Duration) {
        let each = each.as_micros().to_string();
        let mut arguments = vec!["--key-load-delay", &each];
        if major_version() >= 7 {
            arguments.extend(["--loading-process-events-interval-bytes", "1024"]);
        }
        self.restart_with(&arguments, &["PONG", "LOADING"]);
    }

    fn restart_with(&mut self, more: &[&str], is_up: &[&str]) {
        self.kill9();
        for attempt in 0.. {
            match self.launch(more, is_up) {
                Ok(server) => {
                    self.process = Some(Process::start(server, self.folder()).expect("a shell can be started"));
                    return;
                }
                // Another process may have taken the port.
                Err(_) if attempt < 3 && !self.has_data() && self.options.port.is_none() => self.port = free_port(),
                Err(log) => panic!("redis-server doesn't start on port {}; its log:\n{log}", self.port),
            }
        }
    }

    fn has_data(&self) -> bool {
        self.folder().join("appendonlydir").exists() || self.folder().join("appendonly.aof").exists()
    }

    fn launch(&self, more: &[&str], is_up: &[&str]) -> Result<TestProcess, String> {
        let mut command = self.program();
        command.args(self.arguments()).args(more).current_dir(self.folder()).stdin(Stdio::null());
        let mut process = TestProcess::start_with_log(&mut command, self.log_path());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !process.is_running() {
                return Err(self.logged());
            }
            let answer = self.try_command(&["PING"]).unwrap_or_else(|error| error.to_string());
            if is_up.iter().any(|known| answer.starts_with(known)) {
                return Ok(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(self.logged())
    }

    fn program(&self) -> Command {
        if !self.options.limited_disk {
            return Command::new(program());
        }
        without_xfsz(&program())
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
        if major_version() >= 7 {
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

    fn log_path(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Stops the process with SIGSTOP, so that it answers no client.
    pub fn pause(&self) {
        self.send_signal("STOP");
    }

    /// Resumes a paused process.
    pub fn resume(&self) {
        self.send_signal("CONT");
    }

    fn send_signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the server runs");
        signal(process.server.id(), name);
    }

    /// Cuts the last bytes off the append-only file, as a crash of the machine may. The server must not run.
    ///
    /// # Panics
    ///
    /// Panics if the server runs or has no append-only file.
    pub fn truncate_aof(&self, bytes: u64) {
        assert!(self.process.is_none(), "kill the server before you truncate its append-only file");
        let path = self.last_aof().expect("the server has an append-only file");
        let file =
            std::fs::OpenOptions::new().write(true).open(path).expect("a file of the temporary folder can be opened");
        let length = file.metadata().expect("a file has metadata").len();
        file.set_len(length.saturating_sub(bytes)).expect("a file can be truncated");
    }

    /// The size of the append-only file since its last rewrite, in bytes. Pass it to [`RedisServer::truncate_aof_to`].
    pub fn aof_size(&self) -> u64 {
        let path = self.last_aof().expect("the server has an append-only file");
        path.metadata().expect("a file has metadata").len()
    }

    /// Loses every write since the append-only file had this size, even acknowledged ones. A replica that takes over
    /// may lose writes in the same way. The server must not run.
    ///
    /// # Panics
    ///
    /// Panics like [`RedisServer::truncate_aof`].
    pub fn truncate_aof_to(&self, size: u64) {
        self.truncate_aof(self.aof_size().saturating_sub(size));
    }

    /// Makes every write to the server's files fail, as if the disk were full. Returns whether this machine supports
    /// that.
    ///
    /// # Panics
    ///
    /// Panics if the server was started without `limited_disk`.
    pub fn fill_disk(&self) -> bool {
        assert!(self.options.limited_disk, "start the server with `limited_disk`");
        self.limit_files("1")
    }

    /// Allows writes to the server's files again.
    pub fn free_disk(&self) {
        assert!(self.limit_files("unlimited"), "the file size limit can be removed");
    }

    fn limit_files(&self, bytes: &str) -> bool {
        limit_files(self.process.as_ref().expect("the server runs").server.id(), bytes)
    }

    fn last_aof(&self) -> Option<PathBuf> {
        let single = self.folder().join("appendonly.aof");
        let parts = std::fs::read_dir(self.folder().join("appendonlydir")).into_iter().flatten().flatten();
        let last = parts.map(|part| part.path()).filter(|path| path.extension().is_some_and(|end| end == "aof")).max();
        last.or_else(|| single.exists().then_some(single))
    }

    /// Makes the server a replica of another server.
    pub fn replicate_from(&self, other: &Self) {
        assert_eq!(self.command(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]), "OK");
    }

    /// Makes the server a primary again.
    pub fn promote(&self) {
        assert_eq!(self.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    }

    /// Stops answering clients for a while.
    pub fn client_pause(&self, length: Duration) {
        assert_eq!(self.command(&["CLIENT", "PAUSE", &length.as_millis().to_string(), "ALL"]), "OK");
    }

    /// Changes a setting of the running server.
    pub fn config_set(&self, name: &str, value: &str) {
        assert_eq!(self.command(&["CONFIG", "SET", name, value]), "OK");
    }

    /// Flushes the script cache.
    pub fn script_flush(&self) {
        assert_eq!(self.command(&["SCRIPT", "FLUSH"]), "OK");
    }

    /// Flushes all functions. Servers before version 7 have none.
    pub fn function_flush(&self) {
        if self.has_command("FUNCTION") {
            assert_eq!(self.command(&["FUNCTION", "FLUSH"]), "OK");
        }
    }

    /// Whether the server knows a command.
    pub fn has_command(&self, name: &str) -> bool {
        !self.command(&["COMMAND", "INFO", name]).is_empty()
    }

    /// Closes every client connection.
    pub fn kill_clients(&self) {
        self.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    /// Runs a command and returns its reply as text. A list has one line for each value.
    ///
    /// # Panics
    ///
    /// Panics if the server doesn't answer or answers with an error.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a command like [`RedisServer::command`].
    ///
    /// # Errors
    ///
    /// Fails if the server doesn't answer or answers with an error.
    pub fn try_command(&self, words: &[&str]) -> io::Result<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.options.password {
            send(&mut stream, &["AUTH", password])?;
            read_reply(&mut stream)?;
        }
        send(&mut stream, words)?;
        read_reply(&mut stream)
    }

    /// Reads all keys of an app with their values, as `DUMP` writes them.
    ///
    /// # Panics
    ///
    /// Panics like [`RedisServer::command`].
    pub fn entries(&self, app_id: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let script = "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end \
                      local all = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                      all[#all + 1] = hex(key) .. ' ' .. hex(redis.call('DUMP', key)) end return all";
        // A test can't search compressed values.
        self.config_set("rdbcompression", "no");
        let all = self.command(&["EVAL", script, "0", &format!("{{{app_id}}}:*")]);
        all.lines().filter_map(|line| line.split_once(' ')).map(|(key, held)| (unhex(key), unhex(held))).collect()
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

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect()
}

/// The server's major version. Some options need version 7.
fn major_version() -> u32 {
    static MAJOR: LazyLock<u32> = LazyLock::new(|| {
        let output = Command::new(program()).arg("--version").output();
        let output = output.unwrap_or_else(|error| {
            panic!(
                "can't start `{}`: {error}. Install it (`apt-get install redis-server`, `brew install redis`), or set \
                 PYNENC_TEST_REDIS_SERVER to its path.",
                program()
            )
        });
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split("v=").nth(1).unwrap_or_default();
        version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    });
    *MAJOR
}

/// Picks a port that is free, and that stays free unless another program takes it. The port 10,000 above, which a cluster
/// node uses too, is also free.
pub fn free_port() -> u16 {
    for _ in 0..200 {
        let port = fastrand::u16(20_000..50_000);
        let are_free = [port, port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if are_free == [true, true] {
            return port;
        }
    }
    panic!("no free port found in 200 tries");
}

fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<()> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    stream.get_mut().write_all(&request)
}

fn read_reply(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
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
        "*" => Ok((0..count()).map(|_| read_reply(stream)).collect::<io::Result<Vec<_>>>()?.join("\n")),
        _ => Ok(rest.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_writes_survive_a_kill() {
        let mut server = RedisServer::start();
        server.config_set("appendfsync", "always");
        server.command(&["SET", "key", "value"]);
        server.kill9();
        assert!(server.try_command(&["PING"]).is_err());
        server.restart();
        assert_eq!(server.command(&["GET", "key"]), "value");
    }

    #[test]
    fn the_last_write_can_be_lost() {
        let mut server = RedisServer::start();
        server.command(&["SET", "first", "kept"]);
        server.command(&["SET", "second", "lost"]);
        server.kill9();
        server.truncate_aof(3);
        server.restart();
        assert_eq!(server.command(&["MGET", "first", "second"]), "kept\n");
    }

    #[test]
    fn acknowledged_writes_can_be_lost() {
        let mut server = RedisServer::start();
        server.command(&["SET", "first", "kept"]);
        let size = server.aof_size();
        server.command(&["SET", "second", "lost"]);
        server.command(&["SET", "third", "lost"]);
        server.kill9();
        server.truncate_aof_to(size);
        server.restart();
        assert_eq!(server.command(&["MGET", "first", "second", "third"]), "kept\n\n");
    }

    #[test]
    fn a_slowly_restarted_server_answers_loading() {
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
    fn a_server_with_a_full_disk_refuses_writes() {
        let server = RedisServer::start_with(RedisServerOptions { limited_disk: true, ..Default::default() });
        if !server.fill_disk() {
            return println!("skipped: this machine can't limit a process' file size");
        }
        let refused =
            || server.try_command(&["SET", "key", "value"]).is_err_and(|it| it.to_string().contains("MISCONF"));
        assert!((0..200).any(|_| refused()), "{}", server.command(&["INFO", "persistence"]));
        server.free_disk();
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
    fn a_paused_server_can_be_resumed() {
        let server = RedisServer::start();
        server.pause();
        server.resume();
        assert_eq!(server.command(&["PING"]), "PONG");
    }
}
