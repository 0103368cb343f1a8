//! Tests of a worker's listener: scrapes by Prometheus, health probes, and reports to a service manager.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use pynenc_testkit::{RedisServer, TestProcess, free_port};
use pynenc_tests::http::{get, request};
use serde_json::{Value, json};

use crate::program::Program;

/// Waits until a probe has a status, and returns its text.
fn wait_for(port: u16, path: &str, status: u16) -> String {
    loop {
        match get(port, path) {
            Some((found, text)) if found == status => return text,
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}

/// Starts a worker with a listener, and returns it with the listener's port when the worker is ready.
fn start(program: &Program, options: &[&str]) -> (TestProcess, u16) {
    let mut worker = program.start(&[&["worker", "--metrics", "127.0.0.1:0"], options].concat());
    let log = worker.wait_for_stderr("listening for scrapes");
    let address = log.split("127.0.0.1:").nth(1).unwrap();
    let port = address.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap();
    wait_for(port, "/readyz", 200);
    (worker, port)
}

#[test]
fn a_worker_is_scraped_by_prometheus() {
    let program = Program::on_sqlite();
    let (_worker, port) = start(&program, &[]);
    for x in 0..3 {
        program.run(&["call", "add", "--wait", "--args", &json!({"x": x, "y": 1}).to_string()]).check(0, "");
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let scrape =
        format!("{{job_name: pynenc, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}");
    std::fs::write(&config, format!("scrape_configs: [{scrape}]\n")).unwrap();
    let web = free_port();
    let mut prometheus = Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", config.display())).stdin(Stdio::null());
    prometheus.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    prometheus.arg(format!("--web.listen-address=127.0.0.1:{web}"));
    let _prometheus = TestProcess::start(&mut prometheus);
    let query = |query: &str| -> Option<Value> {
        let (_, body) = get(web, &format!("/api/v1/query?query={query}"))?;
        let reply: Value = serde_json::from_str(&body).ok()?;
        Some(reply["data"]["result"].as_array()?.first()?.clone())
    };
    let wait_for = |text: &str| loop {
        if let Some(found) = query(text) {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    let finished = wait_for("pynenc_invocations_finished_total==3");
    assert_eq!(finished["metric"]["status"], "success", "{finished}");
    assert!(finished["metric"]["task"].as_str().unwrap().ends_with("::add"), "{finished}");
    assert!(finished["metric"]["app"].is_string(), "{finished}");
    let ready = wait_for("pynenc_queue_ready_invocations==0");
    assert_eq!(ready["metric"]["queue"], "default", "{ready}");
    let (_, targets) = get(web, "/api/v1/targets").unwrap();
    let targets: Value = serde_json::from_str(&targets).unwrap();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target}");
}

#[test]
fn a_worker_that_drains_is_live_and_not_ready() {
    let program = Program::on_sqlite();
    let (mut worker, port) = start(&program, &["--concurrency", "3"]);
    let address = format!("127.0.0.1:{port}");
    let health = |options: &[&str]| program.run(&[&["worker", "health", "--metrics", &address], options].concat());
    assert_eq!((health(&[]).code, health(&["--live"]).code), (Some(0), Some(0)));
    let running = program.json(&["call", "stays"])["invocation"].as_str().unwrap().to_owned();
    while program.json(&["show", &running])["invocation"]["status"] != "running" {}
    let (_, metrics) = get(port, "/metrics").unwrap();
    let used = metrics.lines().find(|line| line.starts_with("pynenc_runner_slots_used{")).unwrap();
    assert!(used.ends_with("} 1"), "{used}");
    worker.signal("TERM");
    assert_eq!(wait_for(port, "/readyz", 503), "the runner is shutting down\n");
    let refused = health(&[]);
    assert_eq!((refused.code, refused.out.trim()), (Some(1), "the runner is shutting down"));
    assert_eq!(health(&["--live"]).code, Some(0));
    assert_eq!(get(port, "/metrics").unwrap().0, 200);
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
    health(&[]).check(4, &address);
}

#[test]
fn a_worker_without_its_store_is_live_and_not_ready() {
    let mut server = RedisServer::start();
    let program = Program::on_redis()
        .with("PYNENC__REDIS__REDIS_URL", &server.url())
        .with("PYNENC__RUNNER__HEARTBEAT_INTERVAL", "200ms")
        .with("PYNENC__RUNNER__LEASE", "1s");
    let (_worker, port) = start(&program, &[]);
    server.kill9();
    let text = wait_for(port, "/readyz", 503);
    assert_eq!(text, "the store hasn't accepted a heartbeat of the runner within its lease\n");
    assert_eq!(get(port, "/livez").unwrap(), (200, "ok\n".to_owned()));
    let (status, metrics) = get(port, "/metrics").unwrap();
    assert_eq!(status, 200, "the metrics of the process need no store");
    assert!(metrics.contains("pynenc_runner_slots{"), "{metrics}");
    server.restart();
    wait_for(port, "/readyz", 200);
    let (_, metrics) = get(port, "/metrics").unwrap();
    let value = |name: &str, label: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        line.unwrap_or_else(|| panic!("{name} in {metrics}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("pynenc_store_reconnects_total", "app=") >= 1.0, "{metrics}");
    assert!(value("pynenc_store_errors_total", "operation=\"heartbeat\"") >= 1.0, "{metrics}");
}

#[test]
fn the_listener_refuses_other_requests() {
    let (_worker, port) = start(&Program::on_sqlite(), &[]);
    assert_eq!(request("POST", port, "/metrics").unwrap().0, 405);
    assert_eq!(request("HEAD", port, "/metrics").unwrap(), (200, String::new()));
    let (status, text) = get(port, "/metric").unwrap();
    assert_eq!((status, &*text), (404, "there are only /metrics, /livez and /readyz\n"));
}

#[test]
fn an_address_that_is_in_use_is_an_error_with_advice() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program = Program::on_sqlite();
    let worker = program.run(&["worker", "--metrics", &address]);
    worker.check(3, "choose another `metrics.listen`");
    worker.check(3, &address);
    program.run(&["worker", "--metrics", "9464"]).check(3, "HOST:PORT");
    program.run(&["worker", "health"]).check(3, "set `metrics.listen`");
    program
        .run(&["worker", "health", "--metrics", &format!("127.0.0.1:{}", free_port())])
        .check(4, "no worker listens");
}

#[test]
fn worker_processes_listen_on_consecutive_ports() {
    let program = Program::on_sqlite();
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let port = std::iter::repeat_with(free_port).find(|port| is_free(port + 1)).unwrap();
    let mut worker = program.start(&["worker", "--processes", "2", "--metrics", &format!("127.0.0.1:{port}")]);
    for port in [port, port + 1] {
        wait_for(port, "/readyz", 200);
    }
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}

/// A service manager's socket, and its messages.
struct ServiceManager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl ServiceManager {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { socket: UnixDatagram::bind(folder.path().join("notify")).unwrap(), folder }
    }

    fn serve(&self, program: Program) -> Program {
        let path = self.folder.path().join("notify");
        program.with("NOTIFY_SOCKET", path.to_str().unwrap()).with("WATCHDOG_USEC", "1000000")
    }

    fn wait_for(&self, wanted: &str) {
        let mut message = [0; 256];
        loop {
            let length = self.socket.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..length]).trim() == wanted {
                return;
            }
        }
    }
}

#[test]
fn a_worker_reports_to_its_service_manager() {
    let manager = ServiceManager::start();
    let program = manager.serve(Program::on_sqlite());
    for processes in [&["worker"] as &[&str], &["worker", "--processes", "2"]] {
        let mut worker = program.start(processes);
        for message in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
            manager.wait_for(message);
        }
        worker.signal("TERM");
        manager.wait_for("STOPPING=1");
        assert!(worker.wait().unwrap().success());
    }
}
