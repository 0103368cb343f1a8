//! Tests of TLS certificates.

use std::path::Path;

use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

#[task]
fn shout(text: String) -> String {
    text.to_uppercase()
}

/// A certificate authority for tests.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    path: String,
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let path = written(folder, name, &params.self_signed(&key).unwrap().pem());
        Self { issuer: Issuer::new(params, key), path }
    }

    /// Starts a server with a certificate for this name that is valid until this year.
    fn server(&self, folder: &Path, name: &str, last_year: i32) -> (RedisServer, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(last_year, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = [("server.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
        let [certificate, key] = files.map(|(end, text)| written(folder, &format!("{name}-{last_year}-{end}"), &text));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let tls = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let others = ["--tls-ca-cert-file", &self.path, "--tls-auth-clients", "no"];
        let arguments = tls.into_iter().chain(others).map(str::to_owned).collect();
        let server = RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() });
        (server, format!("rediss://localhost:{port}/0"))
    }
}

async fn app(url: &str, authority: &str) -> Result<Pynenc> {
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks![shout]);
    builder.redis(url).set("redis.redis_tls_ca", authority).set("redis.connect_timeout", "2s").build().await
}

/// Checks that the connection is refused and that the error names the cause.
async fn check_refused(url: &str, authority: &str, part: &str) {
    let error = app(url, authority).await.unwrap_err();
    let message = format!("{error} {error:?}");
    assert!(
        message.contains("redis.redis_tls_ca") && message.to_lowercase().contains(part),
        "no `{part}` in {message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_valid_certificate_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(folder.path(), "ours.pem"), Authority::new(folder.path(), "other.pem"));
    let (server, url) = ours.server(folder.path(), "localhost", 2200);
    let app = app(&url, &ours.path).await.unwrap();
    let runner = app.start_runner().await.unwrap();
    assert_eq!(app.submit(shout("ab".into())).await.unwrap().result().await.unwrap(), "AB");
    runner.shutdown().await.unwrap();
    check_refused(&url, &other.path, "invalid peer certificate").await;
    check_refused(&url, "", "invalid peer certificate").await;
    check_refused(&url.replace("localhost", "127.0.0.1"), &ours.path, "not valid for name").await;
    check_refused(&url, "nowhere.pem", "nowhere.pem").await;
    let empty = written(folder.path(), "empty.pem", "no certificate");
    check_refused(&url, &empty, "certificate").await;
    // The server doesn't answer at its plain port, because it waits for the rest of a command.
    let plain = format!("rediss://localhost:{}/0", server.port());
    let error = self::app(&plain, &ours.path).await.unwrap_err().to_string();
    assert!(error.contains("speaks TLS at this port"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_with_a_wrong_name_or_date_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours.pem");
    let (_named, url) = ours.server(folder.path(), "elsewhere.example", 2200);
    check_refused(&url, &ours.path, "not valid for name").await;
    let (_expired, url) = ours.server(folder.path(), "localhost", 2021);
    check_refused(&url, &ours.path, "certificate expired").await;
}
