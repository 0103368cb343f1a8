//! Finds the file, and lays builder calls and the environment over it.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Source};

use super::Config;
use super::environment::{Environment, PREFIX};
use super::layer::{self, Layer, Value, stamped};
use super::tasks;
use crate::error::{Error, Result};

const NAMES: [&str; 4] = ["pynenc.toml", "pynenc.yaml", "pynenc.yml", "pynenc.json"];
const BUILDER: &str = "builder";
pub(super) const COMMAND_LINE: &str = "command line";

/// Says where settings come from; [`ConfigLoader::load`] reads them.
#[derive(Clone)]
#[must_use]
pub struct ConfigLoader {
    file: Place,
    overrides: Vec<(String, Value)>,
    arguments: Vec<(String, String)>,
    environment: Option<Vec<(String, String)>>,
}

/// Where the file is.
#[derive(Debug, Clone)]
enum Place {
    SearchFrom(PathBuf),
    Fixed(PathBuf),
    Nowhere,
}

impl ConfigLoader {
    pub(super) fn new() -> Self {
        Self {
            file: Place::SearchFrom(PathBuf::from(".")),
            overrides: Vec::new(),
            arguments: Vec::new(),
            environment: None,
        }
    }

    /// Searches `dir`, then its parents, for `pynenc.toml`, `.yaml`, `.yml` or `.json`; the current directory if not called.
    pub fn search_from(mut self, dir: impl Into<PathBuf>) -> Self {
        self.file = Place::SearchFrom(dir.into());
        self
    }

    /// Reads this file, which must exist; `PYNENC__FILEPATH` still names another.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Place::Fixed(path.into());
        self
    }

    /// Reads no file, not even one that `PYNENC__FILEPATH` names.
    pub fn without_file(mut self) -> Self {
        self.file = Place::Nowhere;
        self
    }

    /// Sets a key over the file and under the environment: `broker_cls`, or `redis.redis_host` in a section.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.overrides.push((key.to_owned(), value.into()));
        self
    }

    /// Sets a key over everything else, from text as it stands in a variable: what a person said on the command line.
    pub fn argument(mut self, key: &str, text: &str) -> Self {
        self.arguments.push((key.to_owned(), text.to_owned()));
        self
    }

    /// Takes these variables instead of those of the process.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = Some(variables.into_iter().collect());
        self
    }

    /// Reads all layers.
    ///
    /// # Errors
    ///
    /// The file is missing, unreadable or malformed, or a name is given both a value and keys of its own.
    /// Unknown names and wrong types are told by [`Config::section`] and [`Config::check`].
    pub fn load(self) -> Result<Config> {
        let mut environment = Environment::read(self.environment.unwrap_or_else(process_environment))?;
        let file = match locate(self.file, environment.file.take())? {
            Some(path) => read_file(&path)?,
            None => Layer::default(),
        };
        let arguments = self.arguments.into_iter().map(|(key, text)| (key, Value::from(text))).collect();
        let mut layers = [
            file,
            set_layer(self.overrides, BUILDER)?,
            std::mem::take(&mut environment.layer),
            set_layer(arguments, COMMAND_LINE)?,
        ];
        layers.iter_mut().for_each(tasks::canonical);
        layer::refuse_mixed(&layers)?;
        Ok(Config::new(layer::merge(layers)?, environment))
    }
}

impl fmt::Debug for ConfigLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.overrides.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ConfigLoader").field("file", &self.file).field("set", &keys).finish_non_exhaustive()
    }
}

/// The variables of the process; what isn't Unicode can't be one of ours.
fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn set_layer(settings: Vec<(String, Value)>, origin: &str) -> Result<Layer> {
    let mut layer = Layer::default();
    for (key, value) in settings {
        let path: Vec<&str> = key.split('.').collect();
        layer.insert(&path, BUILDER, value.0)?;
    }
    let stamp = |(key, value)| (key, stamped(value, origin));
    Ok(Layer(layer.0.into_iter().map(stamp).collect()))
}

fn locate(place: Place, named: Option<String>) -> Result<Option<PathBuf>> {
    match (place, named) {
        (Place::Nowhere, _) => Ok(None),
        (_, Some(path)) => Ok(Some(PathBuf::from(path))),
        (Place::Fixed(path), None) => Ok(Some(path)),
        (Place::SearchFrom(dir), None) => search(&dir),
    }
}

fn search(dir: &Path) -> Result<Option<PathBuf>> {
    let dir = std::path::absolute(dir)
        .map_err(|error| Error::config("can't search for the configuration file").caused_by(error))?;
    let candidates = dir.ancestors().flat_map(|dir| NAMES.map(|name| dir.join(name)));
    Ok(candidates.into_iter().find(|path| path.is_file()))
}

fn read_file(path: &Path) -> Result<Layer> {
    let origin = shown(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::config("can't read the configuration file").with("file", &origin).caused_by(error))?;
    let values = File::from_str(&text, format(path, &origin)?).collect().map_err(|error| {
        let problem = without_excerpt(&error.to_string());
        Error::config("the configuration file is malformed").with("file", &origin).with("problem", problem)
    })?;
    Ok(Layer(values.into_iter().map(|(key, value)| (key, stamped(value, &origin))).collect()))
}

fn format(path: &Path, origin: &str) -> Result<FileFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(FileFormat::Toml),
        Some("yaml" | "yml") => yaml()
            .ok_or_else(|| Error::config("YAML needs the feature `yaml` of the crate `pynenc`").with("file", origin)),
        Some("json") => Ok(FileFormat::Json),
        _ => Err(Error::config("a configuration file ends in .toml, .yaml, .yml or .json").with("file", origin)),
    }
}

/// YAML, where its reader is compiled in.
fn yaml() -> Option<FileFormat> {
    #[cfg(feature = "yaml")]
    let format = Some(FileFormat::Yaml);
    #[cfg(not(feature = "yaml"))]
    let format = None;
    format
}

/// The path as a person finds it, and never like a variable's name.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&current).unwrap_or(path).display().to_string();
    if short.starts_with(PREFIX) { format!("./{short}") } else { short }
}

/// The parser's message without the lines it quotes, which may hold a secret.
fn without_excerpt(message: &str) -> String {
    let quoted =
        |line: &&str| line.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).starts_with('|');
    message.lines().filter(|line| !quoted(line)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::AppConfig;
    use super::*;

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn load(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<AppConfig> {
        let dir = directory(files);
        let owned = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), value.replace("DIR", &dir.path().display().to_string()))
        };
        let loader = Config::loader().search_from(dir.path().join("deep/down"));
        loader.environment(variables.iter().map(owned)).load()?.section()
    }

    fn check(files: &[(&str, &str)], variables: &[(&str, &str)], app_id: &str) {
        assert_eq!(load(files, variables).unwrap().app_id, app_id, "{files:?} {variables:?}");
    }

    #[track_caller]
    fn check_refused(files: &[(&str, &str)], variables: &[(&str, &str)], parts: &[&str]) {
        let message = format!("{:?}", load(files, variables).unwrap_err());
        for part in parts {
            assert!(message.contains(part), "`{part}` isn't in: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn searches_upward_by_directory_then_format() {
        check(&[("pynenc.toml", "app_id = 'toml'")], &[], "toml");
        check(&[("deep/pynenc.json", r#"{"app_id": "json"}"#), ("pynenc.toml", "app_id = 'toml'")], &[], "json");
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn yaml_comes_after_toml_and_before_json() {
        check(&[("pynenc.yml", "app_id: yml"), ("pynenc.yaml", "app_id: yaml")], &[], "yaml");
        check(&[("pynenc.yml", "app_id: yml"), ("pynenc.json", "{}")], &[], "yml");
        check(&[("pynenc.yaml", "app_id: yaml"), ("pynenc.toml", "app_id = 'toml'")], &[], "toml");
        check_refused(&[("pynenc.yaml", "app_id: a\nb: 'hunter2\n")], &[], &["pynenc.yaml", "line 2"]);
    }

    #[cfg(not(feature = "yaml"))]
    #[test]
    fn yaml_without_its_feature_is_no_file_that_is_passed_over() {
        check_refused(&[("pynenc.yaml", "")], &[], &["feature `yaml`", "pynenc.yaml"]);
        check_refused(&[("pynenc.yml", ""), ("pynenc.json", "{}")], &[], &["feature `yaml`", "pynenc.yml"]);
    }

    #[test]
    fn a_variable_names_another_file() {
        let files = [("pynenc.toml", "app_id = 'toml'"), ("other.json", r#"{"app_id": "other"}"#)];
        check(&files, &[("PYNENC__FILEPATH", "DIR/other.json")], "other");
        check(&files, &[("PYNENC__FILEPATH", "")], "toml");
        check_refused(&files, &[("PYNENC__FILEPATH", "DIR/absent.toml")], &["can't read", "absent.toml"]);
        check_refused(&[("a.ini", "")], &[("PYNENC__FILEPATH", "DIR/a.ini")], &["ends in .toml", "a.ini"]);
    }

    #[test]
    fn a_malformed_file_is_named_with_its_line_and_not_quoted() {
        let toml = "app_id = 'a'\n[redis]\npassword = hunter2 oops\n";
        check_refused(&[("pynenc.toml", toml)], &[], &["pynenc.toml", "line 3"]);
        check_refused(&[("pynenc.json", "{\n\"password\": hunter2}")], &[], &["pynenc.json", "line 2"]);
    }

    #[test]
    fn a_fixed_file_must_exist_and_no_file_is_none() {
        assert!(Config::loader().file("absent.toml").environment([]).load().is_err());
        let dir = directory(&[("here.toml", "app_id = 'here'")]);
        let path = dir.path().join("here.toml");
        let fixed: AppConfig = Config::loader().file(&path).environment([]).load().unwrap().section().unwrap();
        assert_eq!(fixed.app_id, "here");
        let named = [("PYNENC__FILEPATH".to_owned(), path.display().to_string())];
        let none: AppConfig = Config::loader().without_file().environment(named).load().unwrap().section().unwrap();
        assert_eq!(none.app_id, "pynenc");
    }

    #[test]
    fn debug_shows_no_value() {
        let loader = Config::loader().set("redis.password", "hunter2");
        let text = format!("{loader:?}");
        assert!(text.contains("redis.password") && !text.contains("hunter2"), "{text}");
    }
}
