//! Loads the layers: finds and reads the file, and adds the builder calls, the environment and the command line.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source, Value as Sourced};

use super::configuration::Config;
use super::environment::Environment;
use super::layer::{self, Layer, Value};
use super::origin::{BUILDER, COMMAND_LINE, PREFIX, set_origin};
use super::tasks;
use crate::error::{Error, Result};

const FILE_NAMES: [&str; 4] = ["pynenc.toml", "pynenc.yaml", "pynenc.yml", "pynenc.json"];

impl Config {
    /// Starts to configure the sources of the settings.
    pub fn loader() -> ConfigLoader {
        ConfigLoader::new()
    }
}

/// The sources of the settings. [`ConfigLoader::load`] reads them.
#[derive(Clone)]
#[must_use]
pub struct ConfigLoader {
    file: FileLocation,
    overrides: Vec<(String, Value)>,
    arguments: Vec<(String, String)>,
    environment: Option<Vec<(String, String)>>,
}

/// Where the configuration file is.
#[derive(Debug, Clone)]
enum FileLocation {
    SearchFrom(PathBuf),
    Path(PathBuf),
    NoFile,
}

impl ConfigLoader {
    fn new() -> Self {
        Self {
            file: FileLocation::SearchFrom(PathBuf::from(".")),
            overrides: Vec::new(),
            arguments: Vec::new(),
            environment: None,
        }
    }

    /// Searches `dir` and its parents for `pynenc.toml`, `.yaml`, `.yml` or `.json`.
    ///
    /// By default the search starts in the current directory.
    pub fn search_from(mut self, dir: impl Into<PathBuf>) -> Self {
        self.file = FileLocation::SearchFrom(dir.into());
        self
    }

    /// Reads this file, which must exist. The variable `PYNENC__FILEPATH` overrides the path.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = FileLocation::Path(path.into());
        self
    }

    /// Reads no file, even if `PYNENC__FILEPATH` is set.
    pub fn without_file(mut self) -> Self {
        self.file = FileLocation::NoFile;
        self
    }

    /// Sets a key such as `broker_cls`, or `redis.redis_host` in a section.
    ///
    /// The value overrides the file. The environment overrides the value.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.overrides.push((key.to_owned(), value.into()));
        self
    }

    /// Sets a key from the text of a command-line argument. The value overrides every other layer.
    ///
    /// The text is read like the text of a variable.
    pub fn argument(mut self, key: &str, text: &str) -> Self {
        self.arguments.push((key.to_owned(), text.to_owned()));
        self
    }

    /// Reads these variables instead of the variables of the process.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = Some(variables.into_iter().collect());
        self
    }

    /// Reads and merges all layers.
    ///
    /// # Errors
    ///
    /// The file is missing, unreadable or malformed, or a name is set both to a value and as a section.
    /// [`Config::section`] and [`Config::check`] report unknown names and wrong types.
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
        layers.iter_mut().for_each(tasks::flatten_task_tables);
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

/// Returns the variables of the process, except those that aren't Unicode: they can't be settings.
fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn set_layer(settings: Vec<(String, Value)>, origin: &str) -> Result<Layer> {
    let mut layer = Layer::default();
    for (key, value) in settings {
        let path: Vec<&str> = key.split('.').collect();
        layer.insert(&path, origin, value.0)?;
    }
    // The items of a list have no origin yet.
    Ok(with_origins(layer.0, origin))
}

fn with_origins(values: Map<String, Sourced>, origin: &str) -> Layer {
    Layer(values.into_iter().map(|(key, value)| (key, set_origin(value, origin))).collect())
}

fn locate(location: FileLocation, variable: Option<String>) -> Result<Option<PathBuf>> {
    match (location, variable) {
        (FileLocation::NoFile, _) => Ok(None),
        (_, Some(path)) => Ok(Some(PathBuf::from(path))),
        (FileLocation::Path(path), None) => Ok(Some(path)),
        (FileLocation::SearchFrom(dir), None) => search(&dir),
    }
}

fn search(dir: &Path) -> Result<Option<PathBuf>> {
    let absolute = std::path::absolute(dir).map_err(|error| {
        let error = Error::config("can't search for the configuration file").with("cause", &error).caused_by(error);
        error.with("directory", dir.display())
    })?;
    let candidates = absolute.ancestors().flat_map(|dir| FILE_NAMES.map(|name| dir.join(name)));
    Ok(candidates.into_iter().find(|path| path.is_file()))
}

fn read_file(path: &Path) -> Result<Layer> {
    let origin = file_origin(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = "can't read the configuration file";
        Error::config(message).with("file", &origin).with("cause", &error).caused_by(error)
    })?;
    let values = File::from_str(&text, format(path, &origin)?).collect().map_err(|error| {
        let problem = without_quoted_lines(&error.to_string());
        Error::config("the configuration file is malformed").with("file", &origin).with("problem", problem)
    })?;
    Ok(with_origins(values, &origin))
}

fn format(path: &Path, origin: &str) -> Result<FileFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(FileFormat::Toml),
        Some("yaml" | "yml") => yaml().ok_or_else(|| {
            Error::config("can't read YAML: turn on the feature `yaml` of the crate `pynenc`").with("file", origin)
        }),
        Some("json") => Ok(FileFormat::Json),
        _ => {
            let message =
                "the configuration file has an unknown format: its name must end in .toml, .yaml, .yml or .json";
            Err(Error::config(message).with("file", origin))
        }
    }
}

/// Returns the YAML format if its reader is compiled in.
fn yaml() -> Option<FileFormat> {
    #[cfg(feature = "yaml")]
    let format = Some(FileFormat::Yaml);
    #[cfg(not(feature = "yaml"))]
    let format = None;
    format
}

/// Returns the path relative to the current directory. It never starts like a variable's name.
fn file_origin(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&current).unwrap_or(path).display().to_string();
    if short.starts_with(PREFIX) { format!("./{short}") } else { short }
}

/// Removes the lines that the parser's message quotes: they may hold a secret.
fn without_quoted_lines(message: &str) -> String {
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
    fn the_file_is_searched_upward_by_directory_then_by_format() {
        check(&[("pynenc.toml", "app_id = 'toml'")], &[], "toml");
        check(&[("deep/pynenc.json", r#"{"app_id": "json"}"#), ("pynenc.toml", "app_id = 'toml'")], &[], "json");
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn yaml_is_found_after_toml_and_before_json() {
        check(&[("pynenc.yml", "app_id: yml"), ("pynenc.yaml", "app_id: yaml")], &[], "yaml");
        check(&[("pynenc.yml", "app_id: yml"), ("pynenc.json", "{}")], &[], "yml");
        check(&[("pynenc.yaml", "app_id: yaml"), ("pynenc.toml", "app_id = 'toml'")], &[], "toml");
        check_refused(&[("pynenc.yaml", "app_id: a\nb: 'hunter2\n")], &[], &["pynenc.yaml", "line 2"]);
    }

    #[cfg(not(feature = "yaml"))]
    #[test]
    fn a_yaml_file_without_the_feature_is_an_error() {
        check_refused(&[("pynenc.yaml", "")], &[], &["feature `yaml`", "pynenc.yaml"]);
        check_refused(&[("pynenc.yml", ""), ("pynenc.json", "{}")], &[], &["feature `yaml`", "pynenc.yml"]);
    }

    #[test]
    fn a_variable_overrides_the_path_of_the_file() {
        let files = [("pynenc.toml", "app_id = 'toml'"), ("other.json", r#"{"app_id": "other"}"#)];
        check(&files, &[("PYNENC__FILEPATH", "DIR/other.json")], "other");
        check(&files, &[("PYNENC__FILEPATH", "")], "toml");
        check_refused(&files, &[("PYNENC__FILEPATH", "DIR/absent.toml")], &["can't read", "absent.toml"]);
        check_refused(&[("a.ini", "")], &[("PYNENC__FILEPATH", "DIR/a.ini")], &["end in .toml", "a.ini"]);
    }

    #[test]
    fn the_error_for_a_malformed_file_names_the_line_and_does_not_quote_it() {
        let toml = "app_id = 'a'\n[redis]\npassword = hunter2 oops\n";
        check_refused(&[("pynenc.toml", toml)], &[], &["pynenc.toml", "line 3"]);
        check_refused(&[("pynenc.json", "{\n\"password\": hunter2}")], &[], &["pynenc.json", "line 2"]);
    }

    #[test]
    fn a_given_file_must_exist_and_can_be_turned_off() {
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
    fn debug_output_hides_values() {
        let loader = Config::loader().set("redis.password", "hunter2");
        let text = format!("{loader:?}");
        assert!(text.contains("redis.password") && !text.contains("hunter2"), "{text}");
    }
}
