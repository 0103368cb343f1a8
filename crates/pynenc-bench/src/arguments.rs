//! The command line of the benchmarks.

use std::path::PathBuf;

use crate::backend::BackendKind;
use crate::benchmarks::BENCHMARKS;
use crate::{growth, peers};

/// The number of rounds of a comparison of two programs.
const ROUNDS: usize = 3;

/// A command of the benchmark program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Measures the named benchmarks, or all.
    Measure { backends: Vec<BackendKind>, benchmarks: Vec<String> },
    /// Measures the named series of growing sizes, or all, and draws them into a folder if there is one.
    Growth { backends: Vec<BackendKind>, series: Vec<String>, plots: Option<String> },
    /// Compares this program with the one of another checkout.
    Against { backend: BackendKind, other: PathBuf, benchmarks: Vec<String>, rounds: usize },
    /// Compares this program with those of other systems over Redis or SQLite. The folder is for their builds.
    Peers { backend: BackendKind, benchmarks: Vec<String>, target: Option<PathBuf>, rounds: usize },
    /// Measures a release build.
    Build,
    /// Measures the release builds of two small apps, one of this system and one of apalis.
    BuildAgainstApalis { rounds: usize },
}

impl Command {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    ///
    /// Fails with a message for the user.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = Words(words.into_iter().collect());
        if words.take("build") {
            return Self::parse_build(words);
        }
        if words.take("peers") {
            return Self::parse_peers(words);
        }
        if words.take("growth") {
            return Self::parse_growth(words);
        }
        Self::parse_measure(words)
    }

    fn parse_build(mut words: Words) -> Result<Self, String> {
        if words.take("--against-apalis") {
            let rounds = words.rounds(1)?;
            words.names(&[]).map(|_| Self::BuildAgainstApalis { rounds })
        } else {
            words.names(&[]).map(|_| Self::Build)
        }
    }

    fn parse_peers(mut words: Words) -> Result<Self, String> {
        let target = words.option("--target")?.map(PathBuf::from);
        let rounds = words.rounds(ROUNDS)?;
        let shared = [BackendKind::Redis, BackendKind::Sqlite];
        let named: Vec<_> = shared.into_iter().filter(|backend| words.take(backend.name())).collect();
        let backend = match *named {
            [] => BackendKind::Redis,
            [backend] => backend,
            _ => return Err("`peers` compares systems over one backend; write `redis` or `sqlite` after it".to_owned()),
        };
        Ok(Self::Peers { backend, benchmarks: words.names(&peers::names())?, target, rounds })
    }

    fn parse_growth(mut words: Words) -> Result<Self, String> {
        let plots = words.option("--plots")?;
        let backends = words.backends();
        Ok(Self::Growth { backends, series: words.names(&growth::names())?, plots })
    }

    fn parse_measure(mut words: Words) -> Result<Self, String> {
        let known: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        let other = words.option("--against")?.map(PathBuf::from);
        let rounds = if other.is_some() { words.rounds(ROUNDS)? } else { ROUNDS };
        let backends = words.backends();
        let benchmarks = words.names(&known)?;
        match (other, &*backends) {
            (None, _) => Ok(Self::Measure { backends, benchmarks }),
            (Some(other), &[backend]) => Ok(Self::Against { backend, other, benchmarks, rounds }),
            (Some(_), _) => Err("`--against` compares one backend; write `memory` or `redis` before it".to_owned()),
        }
    }
}

/// The words that aren't read yet.
struct Words(Vec<String>);

impl Words {
    /// Removes a word. Returns whether it was there.
    fn take(&mut self, word: &str) -> bool {
        let index = self.0.iter().position(|it| it == word);
        index.map(|index| self.0.remove(index)).is_some()
    }

    /// Removes an option and returns its value: `--name VALUE` or `--name=VALUE`.
    fn option(&mut self, name: &str) -> Result<Option<String>, String> {
        let joined = |word: &str| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned);
        let Some(index) = self.0.iter().position(|word| word == name || joined(word).is_some()) else {
            return Ok(None);
        };
        let word = self.0.remove(index);
        let value = joined(&word).or_else(|| (index < self.0.len()).then(|| self.0.remove(index)));
        let value = value.filter(|value| !value.is_empty() && !value.starts_with("--"));
        value.map(Some).ok_or_else(|| format!("`{name}` has no value; write `{name} VALUE`"))
    }

    fn rounds(&mut self, default: usize) -> Result<usize, String> {
        let Some(value) = self.option("--rounds")? else { return Ok(default) };
        let rounds = value.parse().ok().filter(|rounds| *rounds > 0);
        rounds.ok_or_else(|| format!("`--rounds {value}` isn't a number above 0"))
    }

    /// Removes the names of backends. Returns all backends if there is none.
    fn backends(&mut self) -> Vec<BackendKind> {
        let named: Vec<_> = BackendKind::ALL.into_iter().filter(|backend| self.take(backend.name())).collect();
        if named.is_empty() { BackendKind::ALL.to_vec() } else { named }
    }

    /// Returns the remaining words. Fails if one of them isn't known.
    fn names(self, known: &[&str]) -> Result<Vec<String>, String> {
        let Some(unknown) = self.0.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(self.0) };
        if unknown.starts_with("--") {
            return Err(format!("unknown option `{unknown}` for this command"));
        }
        if known.is_empty() {
            return Err(format!("unknown word `{unknown}`; this command takes no names"));
        }
        Err(format!("unknown benchmark `{unknown}`; known: {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    fn fails(line: &str, message: &str) {
        let error = parse(line).unwrap_err();
        assert!(error.contains(message), "{line}: {error}");
    }

    #[test]
    fn without_words_all_benchmarks_run_on_all_backends() {
        let all = Command::Measure { backends: BackendKind::ALL.to_vec(), benchmarks: Vec::new() };
        assert_eq!(parse(""), Ok(all));
    }

    #[test]
    fn a_comparison_has_a_backend_a_folder_and_names() {
        let command = |rounds| Command::Against {
            backend: BackendKind::Redis,
            other: "../old".into(),
            benchmarks: vec!["drain".into(), "submit".into()],
            rounds,
        };
        assert_eq!(parse("redis --against ../old drain submit"), Ok(command(3)));
        assert_eq!(parse("redis drain --rounds=5 submit --against=../old"), Ok(command(5)));
    }

    #[test]
    fn a_comparison_of_two_backends_is_refused() {
        fails("--against ../old", "write `memory` or `redis`");
        fails("memory redis --against ../old", "write `memory` or `redis`");
        fails("peers redis sqlite", "write `redis` or `sqlite`");
    }

    #[test]
    fn an_option_without_a_value_is_refused() {
        fails("redis --against", "`--against VALUE`");
        fails("redis --against --rounds 2", "`--against VALUE`");
        fails("peers --target=", "`--target VALUE`");
    }

    #[test]
    fn rounds_are_a_positive_number() {
        fails("redis --against ../old --rounds 0", "isn't a number above 0");
        fails("peers --rounds many", "isn't a number above 0");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        fails("redis --against ../old drains", "known: submit, submit_all");
        fails("peers latency", "known: submit, ");
        fails("growth drain", "known: queued, ");
    }

    #[test]
    fn an_option_of_another_command_is_refused() {
        fails("redis drain --rounds 2", "unknown option `--rounds`");
        fails("redis --plots=folder", "unknown option `--plots=folder`");
        fails("build --target folder", "unknown option `--target`");
        fails("build redis", "takes no names");
    }

    #[test]
    fn the_other_commands_are_read() {
        let plots = Some("folder".to_owned());
        let series = vec!["kept".to_owned()];
        assert_eq!(
            parse("growth redis kept --plots=folder"),
            Ok(Command::Growth { backends: vec![BackendKind::Redis], series, plots })
        );
        let target = Some(PathBuf::from("folder"));
        let peers =
            |backend| Command::Peers { backend, benchmarks: vec!["drain".into()], target: target.clone(), rounds: 1 };
        assert_eq!(parse("peers drain --target folder --rounds 1"), Ok(peers(BackendKind::Redis)));
        assert_eq!(parse("peers sqlite drain --target folder --rounds 1"), Ok(peers(BackendKind::Sqlite)));
        assert_eq!(parse("build"), Ok(Command::Build));
        assert_eq!(parse("build --against-apalis"), Ok(Command::BuildAgainstApalis { rounds: 1 }));
    }
}
