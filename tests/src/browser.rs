//! Drives headless Chromium, for tests of pages.

use std::fmt::Debug;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

/// How long a page may take to show what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one page. It closes when it is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Child,
    /// The port of the driver.
    port: u16,
    _profile: TempDir,
}

/// The size and the colors of a page.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The width in CSS pixels.
    pub width: u32,
    /// The height in CSS pixels.
    pub height: u32,
    /// Whether the viewer prefers dark pages.
    pub is_dark: bool,
}

impl Screen {
    /// A window on a desktop.
    pub const DESKTOP: Self = Self { width: 1280, height: 900, is_dark: false };
    /// The same window, dark.
    pub const DARK: Self = Self { is_dark: true, ..Self::DESKTOP };
    /// A small phone.
    pub const PHONE: Self = Self { width: 360, height: 740, is_dark: false };
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// Chromium or its driver is missing; `scripts/test` installs them.
    pub async fn start(screen: Screen) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("`chromedriver` can't be started; scripts/test installs it");
        let mut lines = BufReader::new(driver.stdout.take().expect("the output is piped")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("the output is readable").expect("chromedriver prints its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // The driver would stop if nobody read its output.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = tempfile::tempdir().expect("there is a temporary folder");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts; scripts/test installs it");
        let port = port.parse().expect("the port is a number");
        let browser = Self { client, driver, port, _profile: profile };
        browser.show_on(screen).await;
        browser
    }

    /// Changes the size and the colors of the page.
    pub async fn show_on(&self, screen: Screen) {
        let Screen { width, height, is_dark } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Opens a page, and waits until its scripts have run.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} can't be opened: {error}"));
    }

    /// Waits until an element exists.
    pub async fn wait_for(&self, selector: &str) {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        if let Err(error) = found {
            panic!("`{selector}` doesn't appear ({error}):\n{}", self.describe().await);
        }
    }

    /// Waits until a script's expression is true.
    pub async fn wait_until(&self, expression: &str) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.evaluate(expression).await != json!(true) {
            assert!(tokio::time::Instant::now() < end, "`{expression}` stays false:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks an element.
    pub async fn click(&self, selector: &str) {
        self.wait_for(selector).await;
        let element = self.client.find(Locator::Css(selector)).await.expect("it was found before");
        element.click().await.unwrap_or_else(|error| panic!("`{selector}` can't be clicked: {error}"));
    }

    /// Types into an element, or into the whole page as `body`.
    pub async fn type_into(&self, selector: &str, keys: &str) {
        self.wait_for(selector).await;
        let element = self.client.find(Locator::Css(selector)).await.expect("it was found before");
        element.send_keys(keys).await.unwrap_or_else(|error| panic!("nothing can be typed into `{selector}`: {error}"));
    }

    /// The shown text of an element.
    pub async fn text(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let element = self.client.find(Locator::Css(selector)).await.expect("it was found before");
        element.text().await.expect("the element has a text")
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("the page has an address").to_string()
    }

    /// The value of an expression of JavaScript in the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let value = self.client.execute(&format!("return ({expression});"), Vec::new()).await;
        value.unwrap_or_else(|error| panic!("`{expression}` fails: {error}"))
    }

    /// A picture of the page, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("the page has a picture")
    }

    /// The errors and warnings on the page's console since the last call, among them violations of its policy.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let text = |entry: &Value| format!("{}: {}", entry["level"], entry["message"]);
        entries.iter().filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG").map(text).collect()
    }

    /// The addresses of the requests to servers since the last call.
    pub async fn requests(&self) -> Vec<String> {
        let events = self.log("performance").await.into_iter();
        let request = |entry: Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            is_request.then(|| event["message"]["params"]["request"]["url"].as_str().map(str::to_owned))?
        };
        // Other schemes are the browser's own pages, and data within the page.
        let is_remote = |url: &String| ["http", "ws", "ftp"].iter().any(|scheme| url.starts_with(scheme));
        events.filter_map(request).filter(is_remote).collect()
    }

    /// The serious and critical findings of axe-core: accessibility problems of the page.
    ///
    /// # Panics
    ///
    /// axe-core is missing; `scripts/test` installs it.
    pub async fn accessibility_problems(&self) -> Vec<String> {
        let script = std::fs::read_to_string(modules().join("axe-core/axe.min.js"))
            .expect("axe-core is missing; scripts/test installs it with npm");
        self.client.execute(&script, Vec::new()).await.expect("axe-core is a script");
        let run = "const done = arguments[0]; axe.run().then((found) => done(found.violations), (error) => done(String(error)))";
        let found = self.client.execute_async(run, Vec::new()).await.expect("axe-core runs");
        let violations = found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}"));
        let is_serious = |it: &&Value| it["impact"] == "serious" || it["impact"] == "critical";
        let line = |it: &Value| format!("{}: {} at {}", it["id"], it["help"], it["nodes"][0]["target"]);
        violations.iter().filter(is_serious).map(line).collect()
    }

    async fn describe(&self) -> String {
        let html = self.client.source().await.unwrap_or_default();
        let console = self.console().await;
        format!("{}\nconsole: {console:#?}\n{}", self.url().await, html.chars().take(3000).collect::<String>())
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command("se/log", json!({"type": kind})).await.expect("the driver keeps logs");
        entries.as_array().cloned().unwrap_or_default()
    }

    /// Sends a command of the `DevTools` protocol.
    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.command("goog/cdp/execute", body).await.unwrap_or_else(|error| panic!("{command} fails: {error}"));
    }

    async fn command(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        self.client.issue_cmd(DriverCommand { path, body }).await
    }
}

/// Shuts the driver down, which closes its browser. Killed, it would leave the browser behind.
impl Drop for Browser {
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        let request = "GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        if stream.write_all(request.as_bytes()).is_err() {
            return;
        }
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(self.driver.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A command that only chromedriver has.
#[derive(Debug)]
struct DriverCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for DriverCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(profile: &Path) -> Capabilities {
    let arguments = [
        "--headless=new".to_owned(),
        // Chromium's sandbox needs privileges that containers and root don't have.
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--no-first-run".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--lang=en-GB".to_owned(),
        format!("--user-data-dir={}", profile.display()),
    ];
    let mut options = json!({"args": arguments});
    if let Some(binary) = chromium() {
        options["binary"] = json!(binary);
    }
    let logs = json!({"browser": "ALL", "performance": "ALL"});
    let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs});
    capabilities.as_object().cloned().unwrap_or_default()
}

/// Chromium, by the names that it has in distributions.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let candidates = folders.into_iter().flatten().flat_map(|folder| names.map(|name| folder.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// The programs and scripts from npm that tests use.
pub fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web/node_modules")
}
