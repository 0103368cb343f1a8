//! Child processes of a test.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest wait for a line of output.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of last lines that an error message shows.
const SHOWN_LINES: usize = 40;

/// A child process with captured output. Dropping it kills the process, and prints the output if the test is panicking.
///
/// ```no_run
/// use std::process::Command;
/// use pynenc_testkit::TestProcess;
///
/// let mut worker = TestProcess::start(Command::new("my-app").arg("worker"));
/// worker.wait_for_stdout("ready");
/// worker.signal("TERM");
/// worker.wait_for_success();
/// ```
#[derive(Debug)]
pub struct TestProcess {
    program: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    _folder: Option<TempDir>,
}

impl TestProcess {
    /// Starts a command and captures its output in temporary files.
    ///
    /// # Panics
    ///
    /// Panics if the program can't be started.
    pub fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
        Self::spawn(command, stdout, stderr, Some(folder))
    }

    /// Starts a command and appends its output to a log file, which outlives the process.
    ///
    /// # Panics
    ///
    /// Panics if the program can't be started or the file can't be opened.
    pub fn start_with_log(command: &mut Command, log: impl Into<PathBuf>) -> Self {
        let log = log.into();
        Self::spawn(command, log.clone(), log, None)
    }

    fn spawn(command: &mut Command, stdout: PathBuf, stderr: PathBuf, folder: Option<TempDir>) -> Self {
        let program = command.get_program().display().to_string();
        let child = command.stdout(open(&stdout)).stderr(open(&stderr)).spawn();
        let child = child.unwrap_or_else(|error| panic!("can't start {program}: {error}"));
        Self { program, child, stdout, stderr, _folder: folder }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub fn kill9(&mut self) {
        // Both fail if the process has already exited.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Pauses the process with SIGSTOP.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Resumes a paused process with SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends a signal to the process, by its name without `SIG`.
    ///
    /// # Panics
    ///
    /// Panics like [`signal`].
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Makes each write to a file fail behind this size, as if the disk were full. Returns whether this machine supports
    /// that. The process must ignore SIGXFSZ; see [`without_xfsz`].
    pub fn limit_files(&self, bytes: u64) -> bool {
        limit_files(self.id(), &bytes.to_string())
    }

    /// Removes the limit of [`TestProcess::limit_files`].
    ///
    /// # Panics
    ///
    /// Panics if the process is gone.
    pub fn free_files(&self) {
        assert!(limit_files(self.id(), "unlimited"), "the file size limit can be removed");
    }

    /// Whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits until the process exits.
    ///
    /// # Errors
    ///
    /// The process can't be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Waits until the process exits with code 0.
    ///
    /// # Panics
    ///
    /// Panics with the output if the process fails.
    pub fn wait_for_success(&mut self) {
        let status = self.wait().unwrap_or_else(|error| panic!("can't wait for {}: {error}", self.program));
        assert!(status.success(), "{} failed with {status}{}", self.program, self.shown_output());
    }

    /// Everything that the process has written to standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Everything that the process has written to standard error.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until standard output contains a text, and returns all of standard output.
    ///
    /// # Panics
    ///
    /// Panics with the output if the process exits without this text, or after one minute.
    pub fn wait_for_stdout(&mut self, text: &str) -> String {
        self.wait_for("standard output", text, Self::stdout)
    }

    /// Waits until standard error contains a text, and returns all of standard error.
    ///
    /// # Panics
    ///
    /// Panics like [`TestProcess::wait_for_stdout`].
    pub fn wait_for_stderr(&mut self, text: &str) -> String {
        self.wait_for("standard error", text, Self::stderr)
    }

    fn wait_for(&mut self, stream: &str, text: &str, written: impl Fn(&Self) -> String) -> String {
        let start = Instant::now();
        loop {
            // A process that exits now has written everything before the next read.
            let is_running = self.is_running();
            let found = written(self);
            if found.contains(text) {
                return found;
            }
            assert!(is_running, "{} exited without {text:?} on {stream}{}", self.program, self.shown_output());
            let waited = start.elapsed();
            assert!(
                waited < PATIENCE,
                "{}: no {text:?} on {stream} in {waited:?}{}",
                self.program,
                self.shown_output()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last lines of the output, for an error message.
    fn shown_output(&self) -> String {
        let stdout = format!("\nits standard output:\n{}", last_lines(&self.stdout()));
        if self.stdout == self.stderr {
            return stdout;
        }
        format!("{stdout}\nits standard error:\n{}", last_lines(&self.stderr()))
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("{} (process {}) was killed{}", self.program, self.id(), self.shown_output());
        }
    }
}

fn open(path: &Path) -> File {
    let file = File::options().create(true).append(true).open(path);
    file.unwrap_or_else(|error| panic!("can't open {}: {error}", path.display()))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Creates the command of a process that ignores SIGXFSZ. When a file reaches its size limit, the process gets an error.
pub fn without_xfsz(program: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", program]);
    shell
}

/// Limits the size of the files that a process writes. Returns whether this machine supports that.
pub(crate) fn limit_files(process: u32, bytes: &str) -> bool {
    let limit = format!("--fsize={bytes}:unlimited");
    let limited = Command::new("prlimit").args(["--pid", &process.to_string(), &limit]).status();
    limited.is_ok_and(|status| status.success())
}

/// Sends a signal to a process, by its name without `SIG`.
///
/// # Panics
///
/// Panics if there is no such process or no such signal.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "can't send SIG{name} to process {process}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> TestProcess {
        TestProcess::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn the_output_of_a_running_process_can_be_read() {
        let mut process = shell("echo ready; echo careful >&2; sleep 60");
        assert_eq!(process.wait_for_stdout("ready"), "ready\n");
        assert_eq!(process.wait_for_stderr("careful"), "careful\n");
        assert!(process.is_running());
    }

    #[test]
    #[should_panic(expected = "out of paper")]
    fn a_failure_shows_the_output() {
        shell("echo out of paper >&2; exit 3").wait_for_success();
    }

    #[test]
    #[should_panic(expected = "exited without \"ready\" on standard output")]
    fn a_process_that_exits_early_is_noticed() {
        shell("echo never").wait_for_stdout("ready");
    }

    #[test]
    fn a_log_outlives_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        for word in ["one", "two"] {
            TestProcess::start_with_log(Command::new("echo").arg(word), &log).wait_for_success();
        }
        assert_eq!(read(&log), "one\ntwo\n");
    }
}
