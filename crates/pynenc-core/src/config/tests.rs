//! Tests of layers, errors and explanations through the public interface.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use super::*;
use crate::error::Result;
use crate::task_options::{TaskOptions, TaskPatch};

/// A section with one key of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoreConfig {
    host: String,
    port: u16,
    password: Option<String>,
    tls: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 6379, password: None, tls: false }
    }
}

impl Section for StoreConfig {
    const NAME: &'static str = "store";
    const SECRETS: &'static [&'static str] = &["password"];
}

/// The layers above the defaults.
#[derive(Clone, Copy, Default)]
struct Layers<'a> {
    file: (&'a str, &'a str),
    set: &'a [(&'a str, &'a str)],
    variables: &'a [(&'a str, &'a str)],
}

impl Layers<'_> {
    fn load(self) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        if !self.file.0.is_empty() {
            fs::write(dir.path().join(self.file.0), self.file.1).unwrap();
        }
        let variables = self.variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loader = Config::loader().search_from(dir.path()).environment(variables);
        self.set.iter().fold(loader, |loader, (key, value)| loader.set(key, *value)).load()
    }

    fn store(self) -> Result<StoreConfig> {
        self.load()?.section()
    }

    #[track_caller]
    fn check_refused(self, parts: &[&str]) {
        let message = self.load().and_then(|config| {
            config.section::<AppConfig>()?;
            config.section::<StoreConfig>()?;
            config.check(&[("redis", "turn on the feature `redis`")])
        });
        let message = format!("{:?}", message.expect_err("the layers must be refused"));
        for part in parts {
            assert!(message.contains(part), "`{part}` isn't in: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
}

const TOML: (&str, &str) = ("pynenc.toml", "app_id = 'file'\n[store]\nhost = 'file'\nport = 1\ntls = true\n");

#[test]
fn each_layer_overrides_the_earlier_ones() {
    let mut given = Layers::default();
    assert_eq!(given.store().unwrap(), StoreConfig::default());
    given.file = TOML;
    let file = StoreConfig { host: "file".into(), port: 1, password: None, tls: true };
    assert_eq!(given.store().unwrap(), file);
    given.set = &[("store.host", "builder"), ("app_id", "builder")];
    assert_eq!(given.store().unwrap(), StoreConfig { host: "builder".into(), ..file.clone() });
    assert_eq!(given.load().unwrap().section::<AppConfig>().unwrap().app_id, "builder");
    given.variables = &[("PYNENC__STORE__HOST", "env"), ("PYNENC__STORE__TLS", "off"), ("PYNENC__APP_ID", "env")];
    assert_eq!(given.store().unwrap(), StoreConfig { host: "env".into(), tls: false, ..file });
    assert_eq!(given.load().unwrap().section::<AppConfig>().unwrap().app_id, "env");
}

#[test]
fn json_and_toml_give_the_same_settings() {
    let json = r#"{"app_id": "file", "store": {"host": "file", "port": 1, "tls": true}}"#;
    let [json, toml] = [("pynenc.json", json), TOML].map(|file| Layers { file, ..Layers::default() }.store().unwrap());
    assert_eq!(json, toml);
}

#[cfg(feature = "yaml")]
#[test]
fn yaml_and_toml_give_the_same_settings() {
    let yaml = "app_id: file\nstore:\n  host: file\n  port: 1\n  tls: true\n";
    let files = [TOML, ("pynenc.yaml", yaml), ("pynenc.yml", yaml)];
    let [expected, long, short] = files.map(|file| Layers { file, ..Layers::default() }.store().unwrap());
    assert_eq!([&long, &short], [&expected; 2]);
    let empty = Layers { file: ("pynenc.yaml", "store:\n"), ..Layers::default() };
    assert_eq!(empty.store().unwrap(), StoreConfig::default());
}

#[test]
fn a_password_stays_text() {
    for password in ["1e5", "007", "true", "a,b", " x "] {
        let variables = [("PYNENC__STORE__PASSWORD", password)];
        let store = Layers { variables: &variables, ..Layers::default() }.store().unwrap();
        assert_eq!(store.password.as_deref(), Some(password));
    }
}

#[test]
fn a_wrong_type_is_reported_with_its_source() {
    let file = ("pynenc.toml", "[store]\nport = 2.7\n");
    Layers { file, ..Layers::default() }.check_refused(&[
        "`store.port`",
        "pynenc.toml",
        "a whole number from 0 to 65535",
        "2.7",
    ]);
    let set = [("store.port", "x")];
    Layers { set: &set, ..Layers::default() }.check_refused(&["`store.port`", "builder"]);
    let variables = [("PYNENC__STORE__TLS", "maybe")];
    Layers { variables: &variables, ..Layers::default() }.check_refused(&["`store.tls`", "PYNENC__STORE__TLS", "yes"]);
    let file = ("pynenc.toml", "[store]\npassword = ['hunter2']\n");
    Layers { file, ..Layers::default() }.check_refused(&["`store.password`", "pynenc.toml", "***"]);
    let variables = [("PYNENC__APP_ID", "a b")];
    Layers { variables: &variables, ..Layers::default() }.check_refused(&["`app_id` must be 1 to 64"]);
}

#[test]
fn unknown_keys_of_a_section_are_reported_together() {
    let file = ("pynenc.toml", "[store]\nhst = 'a'\npasword = 'hunter2'\n");
    let variables = [("PYNENC__STORE__POTR", "1")];
    Layers { file, variables: &variables, ..Layers::default() }.check_refused(&[
        "`store.hst` from ",
        "pynenc.toml, did you mean `host`?",
        "`store.pasword`",
        "`store.potr` from PYNENC__STORE__POTR, did you mean `port`?",
    ]);
}

#[test]
fn unknown_names_are_reported_together() {
    let file = ("pynenc.toml", "borker_cls = 'a'\n[stroe]\nhost = 'a'\n[redis]\nhost = 'a'\n[absent]\n");
    let variables = [
        ("PYNENC__STOER__HOST", "hunter2"),
        ("PYNENC__BROKERCLS", "hunter2"),
        ("PYNENC____HOST", "hunter2"),
        ("PYNENC_BROKER_CLS", "hunter2"),
        ("PYNENC_STORE__HOST", "hunter2"),
        ("PYNENC_OTHER", "hunter2"),
        ("PYNENC__TASK__PRIORTY", "hunter2"),
    ];
    let given = Layers { file, variables: &variables, ..Layers::default() };
    given.check_refused(&[
        "`borker_cls` from ",
        "did you mean `broker_cls`?",
        "`stroe` from ",
        "did you mean `store`?",
        "`redis` from ",
        "turn on the feature `redis`",
        "`absent` from ",
        "known names: store, task",
        "`stoer` from PYNENC__STOER__HOST",
        "`brokercls` from PYNENC__BROKERCLS",
        "`PYNENC____HOST`, write PYNENC__KEY or PYNENC__SECTION__KEY",
        "`PYNENC_BROKER_CLS`, did you mean `PYNENC__BROKER_CLS`?",
        "`PYNENC_STORE__HOST`, did you mean `PYNENC__STORE__HOST`?",
        "`task.priorty` from PYNENC__TASK__PRIORTY, did you mean `priority`?",
    ]);
}

#[test]
fn a_section_cannot_be_a_value() {
    let variables = [("PYNENC__STORE", "hunter2")];
    let given = Layers { variables: &variables, ..Layers::default() };
    given.check_refused(&["`store` is a section", "PYNENC__STORE"]);
    Layers { file: TOML, ..given }.check_refused(&["`store` is set both to a value and as a section", "PYNENC__STORE"]);
    let variables = [("PYNENC__TASK", "hunter2")];
    Layers { variables: &variables, ..Layers::default() }
        .check_refused(&["`task` from PYNENC__TASK", "it is a section"]);
    let variables = [("PYNENC__APP_ID__X", "hunter2")];
    Layers { variables: &variables, ..Layers::default() }.check_refused(&["`app_id`", "PYNENC__APP_ID__X", "a string"]);
}

#[test]
fn each_setting_is_explained_and_secrets_are_hidden() {
    let set = [("store.password", "hunter2")];
    let variables = [("PYNENC__STORE__PORT", " 7 ")];
    let config = Layers { file: TOML, set: &set, variables: &variables }.load().unwrap();
    assert!(config.explain().is_empty());
    config.section::<StoreConfig>().unwrap();
    let found: Vec<(String, String, String)> =
        config.explain().into_iter().map(|setting| (setting.key, setting.value, setting.source)).collect();
    let expected = [
        ("store.host", "file", "pynenc.toml"),
        ("store.password", "***", "builder"),
        ("store.port", "7", "PYNENC__STORE__PORT"),
        ("store.tls", "true", "pynenc.toml"),
    ];
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1.as_str()), (expected.0, expected.1));
        assert!(found.2.ends_with(expected.2), "{found:?}");
    }
    let debug = format!("{config:?}");
    assert!(debug.contains("store.host") && !debug.contains("hunter2"), "{debug}");
}

#[test]
fn a_section_that_nothing_reads_is_not_shown() {
    let set = [("other.token", "hunter2")];
    let config = Layers { set: &set, ..Layers::default() }.load().unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// Returns the default file with every setting uncommented.
fn uncommented() -> String {
    let setting = |line: &str| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line).to_owned();
    DEFAULT_FILE.lines().map(setting).collect::<Vec<_>>().join("\n")
}

fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

fn check_default_file<T: Section + PartialEq + fmt::Debug>(config: &Config) {
    assert_eq!(config.section::<T>().unwrap(), T::default());
}

#[test]
fn the_default_file_lists_the_defaults_of_all_settings() {
    let text = uncommented();
    let config = Layers { file: ("pynenc.toml", &text), ..Layers::default() }.load().unwrap();
    check_default_file::<AppConfig>(&config);
    check_default_file::<RunnerConfig>(&config);
    check_default_file::<RetentionConfig>(&config);
    check_default_file::<LoggingConfig>(&config);
    check_default_file::<ArgCacheConfig>(&config);
    assert_eq!(config.task_options("any", &TaskPatch::NONE).unwrap(), TaskOptions::default());
    config.check(&[]).unwrap();
    let absent = config.explain().into_iter().filter(|setting| setting.source == "default");
    assert_eq!(absent.map(|setting| setting.key).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_unchanged_default_file_sets_nothing() {
    let config = Layers { file: ("pynenc.toml", DEFAULT_FILE), ..Layers::default() }.load().unwrap();
    check_default_file::<AppConfig>(&config);
    check_default_file::<RunnerConfig>(&config);
    assert!(config.explain().iter().all(|setting| setting.source == "default"));
}

#[test]
fn the_command_line_overrides_every_other_layer() {
    let variables = [("PYNENC__RUNNER__CONCURRENCY".to_owned(), "2".to_owned())];
    let loader = Config::loader().without_file().set("runner.concurrency", 1).environment(variables);
    let config = loader.argument("runner.concurrency", "3").argument("runner.queues", "a, b").load().unwrap();
    let runner: RunnerConfig = config.section().unwrap();
    assert_eq!((runner.concurrency, runner.queues), (3, vec!["a".to_owned(), "b".to_owned()]));
    let setting = config.explain().into_iter().find(|setting| setting.key == "runner.concurrency").unwrap();
    assert_eq!(setting.source, "command line");
    let loader = Config::loader().without_file().environment([]).argument("runner.concurrency", "many");
    let error = loader.load().unwrap().section::<RunnerConfig>().unwrap_err().to_string();
    assert!(error.contains("command line") && error.contains("runner.concurrency"), "{error}");
}
