//! Users and their rights.

use std::io::Write;

use pynenc::web::{Role, User, Web, WebConfig, new_token_line, password_line};
use pynenc_tests::http::{Request, Response};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::setup::{Site, add, assert_has, fail, open_to_all};

const CALL: &str = "/api/v1/invocations";

fn call() -> serde_json::Value {
    json!({"task": "add", "arguments": {"x": 1, "y": 2}})
}

fn kind(response: &Response) -> (u16, String) {
    (response.status, response.json()["kind"].as_str().unwrap_or_default().to_owned())
}

/// A file with users; it is deleted when it is dropped.
struct Users {
    file: NamedTempFile,
    viewer: String,
    operator: String,
}

impl Users {
    fn new() -> Self {
        let mut file = NamedTempFile::new().unwrap();
        let (viewer, viewer_line) = new_token_line("vi", Role::Viewer).unwrap();
        let (operator, operator_line) = new_token_line("op", Role::Operator).unwrap();
        let password = password_line("ann", Role::Operator, "s3cret & more").unwrap();
        write!(file, "# users\n{viewer_line}\n{operator_line}\n\n{password}\n").unwrap();
        Self { file, viewer, operator }
    }

    fn config(&self) -> WebConfig {
        WebConfig { credentials_file: self.file.path().to_string_lossy().into(), ..open_to_all() }
    }
}

fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", &format!("Bearer {token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_is_read_only_by_default() {
    let site = Site::without_runner(WebConfig::default()).await;
    let refused = site.post(CALL, &call()).await;
    assert_eq!(kind(&refused), (403, "Forbidden".to_owned()));
    assert_has(&refused.body, "web.actions");
    assert_eq!(site.read("/invocations").await["items"], json!([]));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_can_reach_needs_authentication() {
    let site = Site::without_runner(WebConfig::default()).await;
    let listen = |config: WebConfig| {
        Web::new(&site.app, WebConfig { listen: "0.0.0.0:0".into(), ..config }, Vec::new()).listen()
    };
    let error = listen(WebConfig::default()).await.unwrap_err().to_string();
    for advice in ["web.credentials_file", "web.proxy_user_header", "127.0.0.1"] {
        assert_has(&error, advice);
    }
    let users = Users::new();
    assert!(listen(users.config()).await.is_ok());
    assert!(listen(WebConfig { proxy_user_header: "X-User".into(), ..WebConfig::default() }).await.is_ok());
    let error =
        listen(WebConfig { credentials_file: "/no/such/file".into(), ..WebConfig::default() }).await.unwrap_err();
    assert_has(&error.to_string(), "/no/such/file");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_have_roles() {
    let users = Users::new();
    let site = Site::without_runner(users.config()).await;
    assert_eq!(kind(&site.get(CALL).await), (401, "Unauthenticated".to_owned()));
    let wrong = bearer(Request::get(site.port, CALL), "pynenc_0");
    assert_eq!(kind(&site.send(wrong).await), (401, "Unauthenticated".to_owned()));
    assert_eq!(site.send(bearer(Request::get(site.port, CALL), &users.viewer)).await.status, 200);
    let post = || Request::post(site.port, CALL, &call());
    assert_eq!(kind(&site.send(bearer(post(), &users.viewer)).await), (403, "Forbidden".to_owned()));
    assert_eq!(site.send(bearer(post(), &users.operator)).await.status, 201);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_in_and_out() {
    let users = Users::new();
    let site = Site::without_runner(users.config()).await;
    let asked = site.get("/?x=1").await;
    assert_eq!((asked.status, asked.header("location")), (303, Some("/login?next=%2F%3Fx%3D1")));
    let log_in = |password: &str, next: &str| {
        Request::form(site.port, "/login", &format!("name=ann&password={password}&next={next}"))
    };
    let wrong = site.send(log_in("s3cret", "%2F")).await;
    assert_eq!(wrong.status, 401);
    assert_has(&wrong.body, "the name or the password is wrong");
    let right = site.send(log_in("s3cret+%26+more", "%2F%3Fx%3D1")).await;
    assert_eq!((right.status, right.header("location")), (303, Some("/?x=1")));
    let cookie = right.header("set-cookie").unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/;"] {
        assert_has(cookie, flag);
    }
    assert!(!cookie.contains("Secure"), "the browser doesn't use HTTPS");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = |request: Request| request.header("Cookie", &session);
    assert_eq!(site.send(with_cookie(Request::get(site.port, "/"))).await.status, 200);
    let out = site.send(with_cookie(Request::form(site.port, "/logout", ""))).await;
    assert_has(out.header("set-cookie").unwrap(), "Max-Age=0");
    assert_eq!(site.send(with_cookie(Request::get(site.port, "/"))).await.status, 303, "the login has ended");

    for elsewhere in ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example", "evil"] {
        let back = site.send(log_in("s3cret+%26+more", elsewhere)).await;
        assert_eq!(back.header("location"), Some("/"), "{elsewhere}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_cannot_be_guessed_quickly() {
    let users = Users::new();
    let site = Site::without_runner(users.config()).await;
    let mut statuses = Vec::new();
    for guess in 0..12 {
        statuses
            .push(site.send(Request::form(site.port, "/login", &format!("name=ann&password={guess}"))).await.status);
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[11], 429);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_act_through_a_browser() {
    let site = Site::without_runner(open_to_all()).await;
    let post = || Request::post(site.port, CALL, &call());
    let own = format!("http://localhost:{}", site.port);
    for (header, value, status) in [
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "same-site", 403),
        ("Sec-Fetch-Site", "same-origin", 201),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", &*own, 201),
    ] {
        let request = post().header(header, value).header("Host", &format!("localhost:{}", site.port));
        assert_eq!(site.send(request).await.status, status, "{header}: {value}");
    }
    // A page of another site whose name points to this machine. It can add headers.
    for forwarded in ["evil.example", "localhost"] {
        let rebound =
            Request::get(site.port, CALL).header("Host", "evil.example").header("X-Forwarded-Host", forwarded);
        let refused = site.send(rebound).await;
        assert_eq!(kind(&refused), (403, "Forbidden".to_owned()));
        assert_has(&refused.body, "web.hosts");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_user() {
    let config = |proxy: &str| WebConfig {
        proxy_user_header: "X-Forwarded-User".into(),
        trusted_proxies: vec![proxy.into()],
        proxy_operators: vec!["ann".into()],
        ..open_to_all()
    };
    let named = |site: &Site, name: &str| Request::post(site.port, CALL, &call()).header("X-Forwarded-User", name);
    let site = Site::without_runner(config("127.0.0.0/8")).await;
    assert_eq!(site.send(named(&site, "ann")).await.status, 201);
    assert_eq!(kind(&site.send(named(&site, "bob")).await), (403, "Forbidden".to_owned()));
    assert_eq!(kind(&site.send(named(&site, "")).await), (401, "Unauthenticated".to_owned()));
    assert_eq!(kind(&site.post(CALL, &call()).await), (401, "Unauthenticated".to_owned()));
    site.stop().await;
    let site = Site::without_runner(config("10.0.0.0/8")).await;
    assert_eq!(
        kind(&site.send(named(&site, "ann")).await),
        (401, "Unauthenticated".to_owned()),
        "this isn't the proxy"
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_router_gets_its_users_from_the_program() {
    let site = Site::without_runner(WebConfig::default()).await;
    let config = WebConfig { prefix: "/jobs".into(), ..open_to_all() };
    let serve = |router: axum::Router| async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        port
    };
    let router = Web::new(&site.app, config, Vec::new()).router().unwrap();
    let refused = serve(router.clone()).await;
    let user = User { name: "ann".into(), role: Role::Viewer };
    let allowed = serve(router.layer(axum::Extension(user))).await;
    let refused = site.send(Request::get(refused, "/jobs/api/v1/queues")).await;
    assert_eq!(kind(&refused), (401, "Unauthenticated".to_owned()));
    assert_has(&refused.body, "pynenc_web::User");
    let page = site.send(Request::get(allowed, "/jobs/")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_has(&page.body, "/jobs/assets/style.css");
    assert_eq!(site.send(Request::get(allowed, "/jobs")).await.header("location"), Some("/jobs/"));
    assert_eq!(site.send(Request::get(allowed, "/jobs/api/v1/queues")).await.status, 200);
    assert_eq!(site.send(Request::post(allowed, "/jobs/api/v1/invocations", &call())).await.status, 403);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_arguments_are_hidden_everywhere() {
    let secret = "sw0rdfish";
    let config = WebConfig { arguments: pynenc::web::ArgumentVisibility::Hidden, ..open_to_all() };
    let site = Site::new(config).await;
    let failed = site.app.submit(fail(secret.into())).await.unwrap();
    failed.result().await.unwrap_err();
    site.app.submit(add(1, 2)).await.unwrap();
    let id = failed.id();
    let paths = [
        "/".to_owned(),
        "/api/v1/invocations".to_owned(),
        format!("/api/v1/invocations/{id}"),
        format!("/api/v1/invocations/{id}/outcome"),
        format!("/api/v1/invocations/{id}/why"),
        format!("/api/v1/invocations/{id}/tree"),
        "/api/v1/timeline".to_owned(),
        "/api/v1/tasks/web%3A%3Afail/statistics".to_owned(),
    ];
    for path in paths {
        let response = site.get(&path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        assert!(!response.body.contains(secret), "{path}: {}", response.body);
    }
    let search = site.get(&format!("/api/v1/invocations?text={secret}")).await;
    assert_eq!(kind(&search), (403, "Forbidden".to_owned()), "a search would disclose arguments");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_security_headers() {
    let site = Site::without_runner(WebConfig::default()).await;
    for path in ["/", "/login", "/nothing", "/assets/monitor.js", "/api/v1/queues", "/api/v1/nothing"] {
        let response = site.get(path).await;
        let policy = response.header("content-security-policy").unwrap();
        assert_has(policy, "default-src 'none'");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{path}");
        assert!(response.header("cache-control").is_some_and(|caching| caching.starts_with("no-")), "{path}");
    }
    site.stop().await;
}
