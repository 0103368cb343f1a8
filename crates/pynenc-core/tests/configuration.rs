//! Tests of the settings with generated texts: the order of the layers, the advice for misspelled keys, the round trip of
//! shown settings, and that no input makes the program panic.

use std::time::Duration;

use proptest::prelude::*;
use pynenc_core::config::{AppConfig, ArgCacheConfig, Config, RetentionConfig, RunnerConfig, Section};
use pynenc_core::task_options::TaskPatch;
use pynenc_core::{Error, Result};

/// Reads all sections of the core and checks for unknown settings.
fn read_all(config: &Config) -> Result<(AppConfig, RunnerConfig, RetentionConfig, ArgCacheConfig)> {
    let sections = (config.section()?, config.section()?, config.section()?, config.section()?);
    config.task_options("shop::pay", &TaskPatch::NONE)?;
    config.check(&[])?;
    Ok(sections)
}

fn from_variables(variables: Vec<(String, String)>) -> Result<Config> {
    Config::loader().without_file().environment(variables).load()
}

fn from_file(name: &str, content: &[u8]) -> Result<Config> {
    let folder = tempfile::tempdir().expect("a test may make a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a test may write to its folder");
    Config::loader().file(path).environment([]).load()
}

/// Names of variables, made of valid and invalid pieces.
fn any_name() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "PYNENC__",
        "PYNENC_",
        "__",
        "_",
        "TASK__",
        "TASK",
        "RUNNER",
        "CONCURRENCY",
        "RETENTION",
        "MAX_RETRIES",
        "SHOP__PAY",
        "FILE",
        "app_id",
        ".",
        "[",
        "é",
        "\u{0}",
        " ",
    ]);
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| format!("PYNENC__{}", pieces.concat()))
}

/// Settings, each with a valid value for every layer.
fn settings() -> Vec<(&'static str, [&'static str; 4])> {
    vec![
        ("app_id", ["a", "b", "c", "d"]),
        ("broker_cls", ["A", "B", "C", "D"]),
        ("runner.concurrency", ["1", "2", "3", "4"]),
        ("runner.lease", ["20s", "21s", "22s", "23s"]),
        ("retention.results", ["1h", "2h", "3h", "4h"]),
        ("arg_cache.max_size", ["10000", "20000", "30000", "40000"]),
        ("task.max_retries", ["1", "2", "3", "4"]),
    ]
}

fn variable(key: &str) -> String {
    format!("PYNENC__{}", key.replace('.', "__").to_uppercase())
}

/// Loads the file, the builder, the environment and the command line. Each layer sets the key if its flag is set.
fn layered(key: &str, values: &[&str; 4], is_set: [bool; 4]) -> Result<Config> {
    let folder = tempfile::tempdir().expect("a test may make a folder");
    let path = folder.path().join("pynenc.toml");
    let text = |value: &str| if value.parse::<u64>().is_ok() { value.to_owned() } else { format!("{value:?}") };
    let file = if is_set[0] { format!("{key} = {}\n", text(values[0])) } else { String::new() };
    std::fs::write(&path, file).expect("a test may write to its folder");
    let mut loader = Config::loader().file(path);
    if is_set[1] {
        loader = match values[1].parse::<i64>() {
            Ok(number) => loader.set(key, number),
            Err(_) => loader.set(key, values[1]),
        };
    }
    loader = loader.environment(is_set[2].then(|| (variable(key), values[2].to_owned())));
    if is_set[3] {
        loader = loader.argument(key, values[3]);
    }
    loader.load()
}

/// Misspells a key: one letter doubled, left out, or swapped with its neighbor.
fn misspellings(key: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = key.chars().collect();
    let join = |letters: Vec<char>| letters.into_iter().collect::<String>();
    (0..letters.len()).flat_map(move |index| {
        let (mut doubled, mut shortened, mut swapped) = (letters.clone(), letters.clone(), letters.clone());
        doubled.insert(index, letters[index]);
        shortened.remove(index);
        swapped.swap(index, (index + 1).min(letters.len() - 1));
        [join(doubled), join(shortened), join(swapped)]
    })
}

fn check_misspellings<T: Section>() {
    let config = from_variables(Vec::new()).expect("nothing is set");
    config.section::<T>().expect("the defaults are valid");
    for setting in config.explain() {
        let key = setting.key.rsplit('.').next().expect("a key has a part");
        let known = |name: &str| config.explain().iter().any(|other| other.key.ends_with(&format!(".{name}")));
        for misspelled in misspellings(key).filter(|name| !name.is_empty() && !known(name)) {
            let name = variable(&format!("{}.{misspelled}", T::NAME));
            let read = from_variables(vec![(name.clone(), "1".to_owned())]);
            let error = read.and_then(|config| config.section::<T>().map(drop)).expect_err("the key is unknown");
            let (error, advice) = (error.to_string(), if key.len() > 3 { "did you mean `" } else { key });
            assert!(error.contains(&name) && error.contains(advice), "{misspelled} for {key}: {error}");
        }
    }
}

#[test]
fn the_error_for_a_misspelled_key_names_the_variable_and_a_suggestion() {
    check_misspellings::<RunnerConfig>();
    check_misspellings::<RetentionConfig>();
    check_misspellings::<ArgCacheConfig>();
}

/// Nests settings much deeper than a recursive reader could follow.
#[test]
fn deep_nesting_is_an_error() {
    const LEVELS: usize = 30_000;
    let refused = |read: Result<Config>| {
        read.and_then(|config| read_all(&config).map(drop)).expect_err("the settings must be refused")
    };
    let tries: [fn() -> Result<Config>; 6] = [
        || from_variables(vec![(format!("PYNENC__{}END", "A__".repeat(LEVELS)), "1".to_owned())]),
        || Config::loader().without_file().environment([]).set(&format!("{}a", "a.".repeat(LEVELS)), 1).load(),
        || from_file("pynenc.toml", format!("a = {}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)).as_bytes()),
        || from_file("pynenc.toml", format!("[{}a]\nb = 1", "a.".repeat(LEVELS)).as_bytes()),
        || from_file("pynenc.json", format!("{}1{}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS)).as_bytes()),
        || from_file("pynenc.yaml", format!("a: {}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)).as_bytes()),
    ];
    for (number, attempt) in tries.into_iter().enumerate() {
        let length = refused(attempt()).to_string().len();
        assert!(length < 2000, "attempt {number}: an error of {length} bytes");
    }
}

proptest! {
    #[test]
    fn no_variables_make_the_program_panic(variables in prop::collection::vec((any_name(), any::<String>()), 0..4)) {
        let read = from_variables(variables.clone()).and_then(|config| read_all(&config).map(drop));
        prop_assert!(read.is_ok() || !read.unwrap_err().to_string().is_empty());
    }

    #[test]
    fn no_file_makes_the_program_panic(
        content in prop::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\"'=:,.#&*!|>\n a-c0-2-]{0,60}",
        name in prop::sample::select(vec!["pynenc.toml", "pynenc.yaml", "pynenc.json"]),
    ) {
        for content in [&content, text.as_bytes()] {
            let read = from_file(name, content).and_then(|config| read_all(&config).map(drop));
            prop_assert!(read.is_ok() || read.unwrap_err().kind() == pynenc_core::ErrorKind::Config);
        }
    }

    #[test]
    fn the_last_layer_overrides_the_others_and_is_the_source(
        (key, values) in prop::sample::select(settings()),
        is_set in any::<[bool; 4]>(),
    ) {
        let config = layered(key, &values, is_set).expect("each layer is valid");
        read_all(&config).expect("each value is valid");
        let setting = config.explain().into_iter().find(|setting| setting.key == key).expect("the key is known");
        let winner = is_set.iter().rposition(|is_set| *is_set);
        let source = match winner {
            None => "default".to_owned(),
            Some(0) => "pynenc.toml".to_owned(),
            Some(1) => "builder".to_owned(),
            Some(2) => variable(key),
            Some(_) => "command line".to_owned(),
        };
        prop_assert!(setting.source.ends_with(&source), "{setting:?}");
        prop_assert!(winner.is_none_or(|layer| setting.value == values[layer]), "{setting:?}");
    }

    #[test]
    fn shown_settings_are_read_back_unchanged(
        concurrency in 1..usize::MAX / 2,
        queues in prop::collection::vec("[ ,\\[\\]\"a-zé\u{0}-\u{1f}]{1,8}", 1..4),
        lease in (20_000..u64::MAX / 2_000_000).prop_map(Duration::from_millis),
        app_id in "[A-Za-z0-9_.-]{1,64}",
    ) {
        let queues: Vec<_> = queues.iter().map(|queue| serde_json::to_string(queue).expect("a text")).collect();
        let variables = [
            ("APP_ID", app_id),
            ("RUNNER__CONCURRENCY", concurrency.to_string()),
            ("RUNNER__QUEUES", format!("[{}]", queues.join(","))),
            ("RUNNER__LEASE", format!("{} ms", lease.as_millis())),
        ];
        let config = from_variables(variables.map(|(key, value)| (format!("PYNENC__{key}"), value)).into());
        let config = config.expect("the variables are settings");
        let read = read_all(&config).expect("the values are valid");
        prop_assert_eq!((read.1.concurrency, read.1.lease), (concurrency, lease));
        let shown = config.explain().into_iter().filter(|setting| setting.value != "none");
        let again = from_variables(shown.map(|setting| (variable(&setting.key), setting.value)).collect());
        let again = again.map_err(|error: Error| error.to_string()).expect("the shown texts are settings");
        prop_assert_eq!(read_all(&again).map_err(|error| error.to_string()), Ok(read));
    }

    #[test]
    fn the_options_of_a_task_are_found_however_its_table_is_nested(
        parts in prop::collection::vec("[a-z][a-z0-9]{0,5}", 1..4),
        join in prop::collection::vec(any::<bool>(), 3),
        retries in 0..1000_u32,
    ) {
        let id = parts.join("::");
        let quoted = parts.iter().zip(join.iter().chain([&true])).fold(String::new(), |path, (part, together)| {
            let separator = if path.is_empty() { "" } else if *together { "::" } else { "\".\"" };
            format!("{path}{separator}{part}")
        });
        let file = from_file("pynenc.toml", format!("[task.\"{quoted}\"]\nmax_retries = {retries}\n").as_bytes());
        let name = format!("PYNENC__TASK__{}__MAX_RETRIES", parts.join("__").to_uppercase());
        for config in [file, from_variables(vec![(name, retries.to_string())])] {
            let options = config.expect("the option is a setting").task_options(&id, &TaskPatch::NONE);
            prop_assert_eq!(options.expect("the value is valid").max_retries, retries, "{}", quoted);
        }
    }
}
