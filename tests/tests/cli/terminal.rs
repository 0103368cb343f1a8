//! A real terminal for programs that draw: a shell in a session of tmux.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::program::Program;

/// The longest wait for a screen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal with a shell, in the folder and the environment of a program. Dropping it ends both.
pub(crate) struct Terminal {
    /// Holds the socket of the server of this terminal alone.
    folder: tempfile::TempDir,
    program_folder: PathBuf,
}

impl Terminal {
    /// Starts a terminal of 80 columns and 24 lines. `$PROGRAM` is the program. The prompt shows the last exit code.
    pub(crate) fn start(program: &Program) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let terminal = Self { folder, program_folder: program.folder().to_owned() };
        let mut command = program.command_of("tmux", &[]);
        command.args(terminal.tmux_arguments()).args(["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"]);
        let output = command.env("PS1", "[$?] ").env("SHELL", "/bin/sh").args(["sh"]).output();
        check(&output.expect("tmux is installed; scripts/test installs it"));
        terminal.wait_for("the prompt", |screen| screen.starts_with("[0]"));
        terminal
    }

    fn tmux_arguments(&self) -> [String; 2] {
        ["-S".to_owned(), self.folder.path().join("socket").display().to_string()]
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(self.tmux_arguments()).args(arguments).output();
        check(&output.expect("tmux can be started"))
    }

    /// Types a line.
    pub(crate) fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, by the name that tmux has for it.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Changes the size.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]);
    }

    /// Waits until the screen looks as expected, and returns it.
    pub(crate) fn wait_for(&self, name: &str, is_shown: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if is_shown(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "the terminal doesn't show {name}:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks that the shell is back with this exit code, on its own screen, and with its own settings of the terminal.
    pub(crate) fn check_restored(&self, code: i32) {
        let prompt = format!("[{code}]");
        self.wait_for("the prompt", |screen| screen.trim_end().lines().last() == Some(&prompt));
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
        self.type_line("clear; stty -a >settings; echo done");
        self.wait_for("its settings", |screen| screen.lines().next() == Some("done"));
        let settings = std::fs::read_to_string(self.program_folder.join("settings")).expect("stty writes the file");
        let is_on = |name: &&str| settings.split([' ', ';', '\n']).any(|word| word == *name);
        let names = ["echo", "icanon", "isig", "icrnl", "opost"];
        assert!(names.iter().all(is_on), "one of {names:?} is off: {settings}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The server may have ended with its shell.
        drop(Command::new("tmux").args(self.tmux_arguments()).arg("kill-server").output());
    }
}

fn check(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
