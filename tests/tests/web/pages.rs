//! The pages in a browser.

use std::time::Duration;

use pynenc::Status;
use pynenc::web::{Role, WebConfig, password_line};
use pynenc_tests::browser::{Browser, Screen};
use serde_json::{Value, json};

use crate::setup::{
    Site, add, approve, assert_has, drop_when_busy, fail, fail_often, hang, open_to_all, shop, wait_for_hang,
};

const PAGES: &[&str] = &[
    "/",
    "/invocations",
    "/timeline",
    "/tasks",
    "/tasks/web%3A%3Afail",
    "/triggers",
    "/events",
    "/workflows",
    "/runners",
    "/limits",
    "/configuration",
    "/nothing",
];

/// Texts that would do harm in a page that doesn't escape them.
const HOSTILE: &[&str] = &[
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror=\"window.hacked = 1\">",
    "'><svg/onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "</pre></td></table></main><h1>gone</h1>",
    "\u{202e}backwards & <b>bold</b> \n\t\0",
];

impl Site {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Opens a page, and checks what every page has to fulfil.
async fn check(browser: &Browser, site: &Site, path: &str) {
    browser.open(&site.url(path)).await;
    browser.wait_for("body[data-ready=true]").await;
    if path.starts_with("/timeline") {
        browser.wait_for("#timeline[data-ready=true]").await;
    }
    let console = browser.console().await;
    // The browser reports the status of a page that doesn't exist.
    let console: Vec<_> = console.into_iter().filter(|line| path != "/nothing" || !line.contains("404")).collect();
    assert_eq!(console, Vec::<String>::new(), "{path}");
    let own = site.url("/");
    let foreign: Vec<_> = browser.requests().await.into_iter().filter(|url| !url.starts_with(&own)).collect();
    assert_eq!(foreign, Vec::<String>::new(), "{path}");
    assert_eq!(browser.accessibility_problems().await, Vec::<String>::new(), "{path}");
    assert_eq!(browser.evaluate("window.hacked ?? null").await, Value::Null, "{path}");
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(overflow).await, json!(0), "{path} is wider than the screen");
}

async fn check_all(site: &Site, more: &[String]) {
    let browser = Browser::start(Screen::DESKTOP).await;
    for screen in [Screen::DESKTOP, Screen::DARK, Screen::PHONE] {
        browser.show_on(screen).await;
        for path in PAGES.iter().copied().chain(more.iter().map(String::as_str)) {
            check(&browser, site, path).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_app_is_sound() {
    let site = Site::without_runner(open_to_all()).await;
    check_all(&site, &[]).await;
    site.stop().await;
}

/// Brings invocations into every status that lasts, and returns one of each.
async fn every_status(site: &Site) -> Vec<(Status, pynenc::InvocationId)> {
    let app = &site.app;
    let success = app.submit(add(1, 2)).await.unwrap().id();
    let failed = app.submit(fail("ann".into())).await.unwrap().id();
    let retry = app.submit(fail_often()).await.unwrap().id();
    let scheduled = app.submit(add(1, 2).delay(Duration::from_secs(3600))).await.unwrap().id();
    let running = app.submit(hang(1)).await.unwrap().id();
    site.reaches(running, Status::Running).await;
    let blocked = app.submit(hang(1)).await.unwrap().id();
    let paused = app.submit(wait_for_hang(2)).await.unwrap().id();
    let busy = app.submit(drop_when_busy()).await.unwrap().id();
    site.reaches(busy, Status::Running).await;
    let dropped = app.submit(drop_when_busy()).await.unwrap().id();
    let cancelled = app.submit(hang(3)).await.unwrap().id();
    site.reaches(cancelled, Status::Running).await;
    app.cancel(cancelled).await.unwrap();
    let registered = app.submit(add(1, 2).queue("nobody")).await.unwrap().id();
    let reached = vec![
        (Status::Success, success),
        (Status::Failed, failed),
        (Status::Retry, retry),
        (Status::Scheduled, scheduled),
        (Status::Running, running),
        (Status::ConcurrencyControlled, blocked),
        (Status::Paused, paused),
        (Status::ConcurrencyControlledFinal, dropped),
        (Status::Cancelled, cancelled),
        (Status::Registered, registered),
    ];
    for (status, id) in &reached {
        site.reaches(*id, *status).await;
    }
    reached
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_sound_with_invocations_in_every_status() {
    let site = Site::new(open_to_all()).await;
    let reached = every_status(&site).await;
    let run = site.app.submit(approve(1)).await.unwrap().id();
    site.reaches(run, Status::Scheduled).await;
    let trigger = site.read("/triggers").await[0]["id"].as_str().unwrap().replace(':', "%3A");
    let runner = site.read("/runners").await[0]["id"].as_str().unwrap().to_owned();
    let mut pages: Vec<_> = reached.iter().map(|(_, id)| format!("/invocations/{id}")).collect();
    pages.extend(reached.iter().take(2).map(|(_, id)| format!("/invocations/{id}/tree")));
    pages.extend([
        format!("/invocations/{}/tree", reached[6].1),
        format!("/workflows/{run}"),
        format!("/triggers/{trigger}"),
        format!("/runners/{runner}"),
        "/invocations?status=failed&task=fail&queue=default&since=1h&text=ann".to_owned(),
        "/timeline?task=add".to_owned(),
        "/tasks/web%3A%3Aadd".to_owned(),
    ]);
    check_all(&site, &pages).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_are_shown_and_not_run() {
    let site = Site::new(open_to_all()).await;
    let browser = Browser::start(Screen::DESKTOP).await;
    for text in HOSTILE {
        let call = fail((*text).to_owned()).idempotency_key(*text);
        let failed = site.app.submit(call).await.unwrap();
        failed.result().await.unwrap_err();
        let queued = site.app.submit(add(1, 2).queue(text)).await.unwrap().id();
        site.app.emit_event(text, text).key(text).await.unwrap();
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        let pages = [
            format!("/invocations/{}", failed.id()),
            format!("/invocations/{queued}"),
            format!("/invocations?text={}", encoded(text)),
            format!("/invocations?task={0}&queue={0}&workflow=&status=", encoded(text)),
            format!("/timeline?task={}", encoded(text)),
            format!("/invocations/{}?done={}", failed.id(), encoded(text)),
        ];
        for path in pages {
            check(&browser, &site, &path).await;
        }
        // Problems show what was wrong.
        for path in ["/tasks/", "/triggers/", "/invocations/", "/runners/", "/nothing/"] {
            browser.open(&site.url(&format!("{path}{}", encoded(text)))).await;
            assert_eq!(browser.evaluate("window.hacked ?? null").await, Value::Null, "{path}{text}");
        }
        browser.open(&site.url(&format!("/invocations/{}", failed.id()))).await;
        let shown = browser.evaluate("document.querySelector('pre.error').textContent").await;
        let visible: String = text.chars().filter(|char| *char != '\0').collect();
        let shown: String = shown.as_str().unwrap().chars().filter(|char| *char != '\u{fffd}').collect();
        assert_has(&shown, &visible);
        browser.console().await;
    }
    for path in PAGES {
        check(&browser, &site, path).await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_an_app_with_many_invocations_are_sound() {
    let site = Site::without_runner(open_to_all()).await;
    for part in 0..100 {
        site.app.submit_all((0..1000).map(|number| add(part, number))).await.unwrap();
    }
    let browser = Browser::start(Screen::DESKTOP).await;
    for path in PAGES {
        check(&browser, &site, path).await;
    }
    browser.open(&site.url("/invocations")).await;
    let first = browser.text("tbody tr a").await;
    browser.click("a[rel=next]").await;
    browser.wait_until(&format!("document.querySelector('tbody tr a').textContent !== '{first}'")).await;
    browser.open(&site.url("/timeline")).await;
    browser.wait_for("#timeline[data-ready=true]").await;
    assert_has(&browser.text("#timeline output").await, "10,000");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_acts_and_a_viewer_sees_no_buttons() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let users = [("ann", Role::Operator), ("bob", Role::Viewer)];
    let lines: Vec<_> = users.iter().map(|(name, role)| password_line(name, *role, "pass word").unwrap()).collect();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let credentials_file = file.path().to_string_lossy().into();
    let site = Site::new(WebConfig { credentials_file, ..open_to_all() }).await;
    let running = site.app.submit(hang(1)).await.unwrap().id();
    site.reaches(running, Status::Running).await;

    let browser = Browser::start(Screen::DESKTOP).await;
    let log_in = async |name: &str, path: &str| {
        browser.open(&site.url(path)).await;
        browser.type_into("#name", name).await;
        browser.type_into("#password", "pass word").await;
        browser.click("form.login button").await;
        browser.wait_for("header.top").await;
    };
    let page = format!("/invocations/{running}");
    log_in("bob", &page).await;
    assert!(browser.url().await.ends_with(&page), "the login leads back to the page");
    assert_eq!(browser.evaluate("document.querySelectorAll('main form').length").await, json!(0));
    browser.click(".account button").await;
    browser.wait_for("form.login").await;

    log_in("ann", &page).await;
    browser.click("button.danger").await;
    browser.wait_for(".notice.good").await;
    site.reaches(running, Status::Cancelled).await;
    browser.wait_for("button.primary").await;
    browser.click("main button.primary").await;
    browser.wait_until(&format!("!location.pathname.endsWith('{running}')")).await;
    assert_has(&browser.text(".notice.good").await, "repeats the other one");

    browser.open(&site.url("/tasks/web%3A%3Aadd")).await;
    browser.evaluate("document.querySelector('textarea').value = '{\"x\": 20, \"y\": 22}'").await;
    browser.click("main button.primary").await;
    browser.wait_until("document.querySelector('main pre')?.textContent === '42'").await;

    browser.open(&site.url("/events")).await;
    browser.type_into("input[name=name]", "said").await;
    browser.evaluate("document.querySelector('textarea').value = '\"hello\"'").await;
    browser.click("main button.primary").await;
    browser.wait_for(".notice.good").await;
    browser.open(&site.url("/triggers")).await;
    browser.click("tbody a").await;
    browser.click(".actions button:not(.primary)").await;
    browser.wait_for(".status.paused").await;
    browser.open(&site.url("/")).await;
    assert_has(&browser.text(".alerts").await, "is paused");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_update_themselves_and_keep_what_the_viewer_does() {
    let site = Site::new(open_to_all()).await;
    let invocation = site.app.submit(hang(1)).await.unwrap();
    site.reaches(invocation.id(), Status::Running).await;
    let browser = Browser::start(Screen::DESKTOP).await;
    browser.open(&site.url(&format!("/invocations/{}", invocation.id()))).await;
    assert_has(&browser.text("h1").await, "running");
    browser.click("summary").await;
    invocation.cancel().await.unwrap();
    browser.wait_until("document.querySelector('h1').textContent.includes('cancelled')").await;
    assert_eq!(browser.evaluate("document.querySelector('details').open").await, json!(true));

    browser.open(&site.url("/invocations")).await;
    browser.wait_until("document.querySelectorAll('tbody tr').length === 1").await;
    browser.type_into("input[name=task]", "ad").await;
    site.app.submit(add(1, 2)).await.unwrap().result().await.unwrap();
    browser.wait_until("new Promise((done) => setTimeout(() => done(true), 2500))").await;
    assert_eq!(browser.evaluate("document.querySelector('input[name=task]').value").await, json!("ad"));
    browser.evaluate("document.activeElement.blur()").await;
    browser.wait_until("document.querySelectorAll('tbody tr').length === 2").await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_the_search_lead_to_pages() {
    let site = Site::new(open_to_all()).await;
    let id = site.app.submit(add(1, 2)).await.unwrap().id().to_string();
    let browser = Browser::start(Screen::DESKTOP).await;
    browser.open(&site.url("/")).await;
    browser.wait_for("body[data-ready=true]").await;
    browser.type_into("body", "gi").await;
    browser.wait_until("location.pathname === '/invocations'").await;
    browser.wait_for("body[data-ready=true]").await;
    browser.type_into("body", "?").await;
    browser.wait_for("#keys[open]").await;
    browser.click("#keys button").await;
    for (typed, path) in [
        (&id[24..], format!("/invocations/{id}")),
        ("add", "/tasks/web%3A%3Aadd".to_owned()),
        ("zz top", "/invocations".to_owned()),
    ] {
        browser.type_into("body", "/").await;
        assert_eq!(browser.evaluate("document.activeElement.id").await, json!("search"));
        browser.type_into("#search", &format!("{typed}\n")).await;
        browser.wait_until(&format!("location.pathname === '{path}'")).await;
        browser.wait_for("body[data-ready=true]").await;
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_works_behind_a_prefix() {
    let site = Site::new(WebConfig { prefix: "/a/jobs".into(), ..open_to_all() }).await;
    let id = site.app.submit(add(1, 2)).await.unwrap().id();
    site.reaches(id, Status::Success).await;
    let browser = Browser::start(Screen::DESKTOP).await;
    let (mut open, mut seen) = (vec!["/a/jobs/".to_owned()], std::collections::BTreeSet::new());
    while let Some(path) = open.pop().filter(|_| seen.len() < 60) {
        if !seen.insert(path.clone()) {
            continue;
        }
        let response = site.get(&path).await;
        assert_eq!(response.status, 200, "{path}");
        if path.contains("/api/") {
            continue;
        }
        browser.open(&site.url(&path)).await;
        browser.wait_for("body[data-ready=true]").await;
        assert_eq!(browser.console().await, Vec::<String>::new(), "{path}");
        let links =
            browser.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))").await;
        let links = links.as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned());
        let links: Vec<_> = links.filter(|link| !link.starts_with('#')).collect();
        assert!(links.iter().all(|link| link.starts_with("/a/jobs/")), "{path}: {links:?}");
        open.extend(links);
    }
    assert!(seen.len() > 12, "{seen:?}");
    site.stop().await;
}

/// `UPDATE_DOCS=1` takes the pictures of the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_has_pictures_of_the_main_pages() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/web");
    let names = ["overview", "invocation", "timeline", "tree"];
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        let site = Site::new(open_to_all()).await;
        every_status(&site).await;
        for number in 0..40 {
            site.app.submit(shop(number)).await.unwrap();
        }
        let order = site.app.submit(shop(0)).await.unwrap();
        order.result().await.unwrap();
        let id = order.id();
        let browser = Browser::start(Screen { height: 760, ..Screen::DESKTOP }).await;
        let paths =
            ["/".to_owned(), format!("/invocations/{id}"), "/timeline".to_owned(), format!("/invocations/{id}/tree")];
        for (name, path) in names.iter().zip(paths) {
            browser.open(&site.url(&path)).await;
            browser.wait_for("body[data-ready=true]").await;
            if *name == "timeline" {
                browser.wait_for("#timeline[data-ready=true]").await;
                browser.wait_until("new Promise((done) => requestAnimationFrame(() => done(true)))").await;
            }
            std::fs::write(folder.join(format!("{name}.png")), browser.screenshot().await).unwrap();
        }
        site.stop().await;
    }
    let page = std::fs::read_to_string(folder.join("../web-monitor.md")).unwrap();
    for name in names {
        assert!(folder.join(format!("{name}.png")).is_file(), "{name}.png is missing; take it with UPDATE_DOCS=1");
        assert_has(&page, &format!("(web/{name}.png)"));
    }
}
