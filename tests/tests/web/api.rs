//! The endpoints: reading and changing.

use pynenc::Status;
use pynenc_tests::http::Request;
use serde_json::{Value, json};

use crate::setup::{Site, add, approve, assert_has, fail, hang, open_to_all, parent};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_submitted_with_its_options_and_awaited() {
    let site = Site::new(open_to_all()).await;
    let call = json!({
        "task": "add", "arguments": {"x": 1, "y": 2}, "priority": 9, "idempotency_key": "one", "timeout": "5s",
        "max_retries": 3, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "wait": "1m",
    });
    let response = site.post("/api/v1/invocations", &call).await;
    assert_eq!(response.status, 201, "{}", response.body);
    let submission = response.json();
    assert_eq!(submission["outcome"], json!({"finished": true, "status": "success", "value": 3, "error": null}));
    let again = site.post("/api/v1/invocations", &call).await.json();
    assert_eq!(again["id"], submission["id"], "the idempotency key names one call");

    let invocation = site.read(&format!("/invocations/{}", submission["id"].as_str().unwrap())).await;
    assert_eq!(invocation["task"], "web::add");
    assert_eq!(invocation["priority"], 9);
    assert_eq!(invocation["argument_values"], json!({"x": 1, "y": 2}));
    assert_eq!(invocation["arguments"], "x=1, y=2");
    assert_has(invocation["traceparent"].as_str().unwrap(), "0af7651916cd43dd8448eb211c80319c");
    let reasons: Vec<_> = invocation["history"].as_array().unwrap().iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["submitted", "claimed", "started", "returned"]);
    let attempt = &invocation["attempts"][0];
    assert_eq!(
        (&attempt["number"], &attempt["status"], &attempt["error"]),
        (&json!(1), &json!("success"), &Value::Null)
    );
    assert_eq!(attempt["spans"].as_array().unwrap().len(), 2, "claimed, and running");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_leaves_the_invocation_alone() {
    let site = Site::new(open_to_all()).await;
    let response =
        site.post("/api/v1/invocations", &json!({"task": "hang", "arguments": {"key": 1}, "wait": "10ms"})).await;
    assert_eq!((response.status, &response.json()["outcome"]), (201, &Value::Null));
    let id = response.json()["id"].as_str().unwrap().to_owned();
    site.reaches(id.parse().unwrap(), Status::Running).await;
    assert_eq!(site.read(&format!("/invocations/{id}/outcome?wait=10ms")).await["status"], "running");
    assert_has(site.read(&format!("/invocations/{id}/why")).await["sentence"].as_str().unwrap(), "has been running");

    let cancelled = site.post(&format!("/api/v1/invocations/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    let outcome = site.read(&format!("/invocations/{id}/outcome?wait=1m")).await;
    assert_eq!((&outcome["status"], &outcome["error"]["kind"]), (&json!("cancelled"), &json!("Cancelled")));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_invocation_shows_its_error_and_is_retried_once() {
    let site = Site::new(open_to_all()).await;
    let id = site.app.submit(fail("ann".into())).await.unwrap().id();
    let outcome = site.read(&format!("/invocations/{id}/outcome?wait=1m")).await;
    assert_eq!(outcome["error"]["kind"], "TaskFailed");
    assert_has(outcome["error"]["message"].as_str().unwrap(), "no entry for ann");
    let retried = site.post(&format!("/api/v1/invocations/{id}/retry"), &json!({})).await;
    assert_eq!(retried.status, 201, "{}", retried.body);
    let again = site.post(&format!("/api/v1/invocations/{id}/retry"), &json!({})).await;
    assert_eq!(again.json()["id"], retried.json()["id"]);
    let new = site.read(&format!("/invocations/{}", retried.json()["id"].as_str().unwrap())).await;
    assert_eq!(new["retry_of"], id.to_string());

    let statistics = site.read("/tasks/web%3A%3Afail/statistics").await;
    assert_has(statistics["errors"][0]["kind"].as_str().unwrap(), "raised");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged_by_cursor() {
    let site = Site::without_runner(open_to_all()).await;
    for number in 0..5 {
        site.app.submit(add(number, 0)).await.unwrap();
    }
    let other = site.app.submit(fail("needle \"in\" <hay>".into())).await.unwrap().id();
    let mut path = "/invocations?task=add&limit=2&order=oldest".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = site.read(&path).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["arguments"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/invocations?task=add&limit=2&order=oldest&cursor={next}");
    }
    assert_eq!(seen, (0..5).map(|number| format!("x={number}, y=0")).collect::<Vec<_>>());
    for (filter, count) in [
        ("status=registered,success", 6),
        ("status=success", 0),
        ("queue=default", 6),
        ("queue=none", 0),
        ("since=1h", 6),
        ("until=1h", 0),
        ("text=%3CHAY%3E", 1),
        ("text=nothing", 0),
        (&*format!("workflow={other}"), 1),
    ] {
        assert_eq!(
            site.read(&format!("/invocations?{filter}")).await["items"].as_array().unwrap().len(),
            count,
            "{filter}"
        );
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_problems_that_say_what_to_do() {
    let site = Site::without_runner(open_to_all()).await;
    let unknown = pynenc::InvocationId::new();
    for (path, status, kind, detail) in [
        (&*format!("/invocations/{unknown}"), 404, "InvocationNotFound", "there is no invocation"),
        ("/invocations/nobody", 400, "InvalidRequest", "isn't an invocation id"),
        ("/invocations?status=done", 400, "InvalidRequest", "registered"),
        ("/invocations?since=soon", 400, "InvalidRequest", "`since`"),
        ("/invocations?cursor=1", 400, "InvalidRequest", "cursor"),
        ("/invocations?order=up", 400, "InvalidRequest", "`order`"),
        ("/invocations?color=red", 400, "InvalidRequest", "color"),
        ("/invocations?limit=-1", 400, "InvalidRequest", "limit"),
        ("/triggers/none", 404, "NotFound", "no trigger"),
        ("/nothing", 404, "NotFound", "no such endpoint"),
    ] {
        let response = site.get(&format!("/api/v1{path}")).await;
        let problem = response.json();
        assert_eq!((response.status, problem["kind"].as_str()), (status, Some(kind)), "{path}: {problem}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_has(problem["detail"].as_str().unwrap(), detail);
    }
    for (call, status, kind, detail) in [
        (json!({"task": "sub"}), 422, "UnknownTask", "web::add"),
        (json!({"task": "add", "arguments": {"x": 1}}), 422, "Invalid", "missing"),
        (json!({"task": "add", "arguments": {"x": 1, "y": "two"}}), 422, "Invalid", "decode"),
        (json!({"task": "add", "arguments": [1, 2]}), 400, "InvalidRequest", "arguments"),
        (json!({"task": "add", "arguments": {"x": 1, "y": 2}, "priority": 10}), 400, "InvalidRequest", "0 to 9"),
        (json!({"task": "add", "arguments": {"x": 1, "y": 2}, "delay": "soon"}), 400, "InvalidRequest", "`delay`"),
        (
            json!({"task": "add", "arguments": {"x": 1, "y": 2}, "delay": "1s", "at": 5}),
            400,
            "InvalidRequest",
            "exclude",
        ),
        (json!({"task": "add", "arguments": {"x": 1, "y": 2}, "wait": "1h"}), 400, "InvalidRequest", "at most 5m"),
        (json!({"task": "add", "arguments": {"x": 1, "y": 2}, "traceparent": "x"}), 422, "Invalid", "traceparent"),
        (json!({"task": "add", "colour": "red"}), 400, "InvalidRequest", "colour"),
        (json!({}), 400, "InvalidRequest", "task"),
    ] {
        let response = site.post("/api/v1/invocations", &call).await;
        let problem = response.json();
        assert_eq!((response.status, problem["kind"].as_str()), (status, Some(kind)), "{call}: {problem}");
        assert_has(problem["detail"].as_str().unwrap(), detail);
    }
    assert_eq!(site.read("/invocations").await["items"], json!([]), "nothing was submitted");
    let form = site.send(Request::form(site.port, "/api/v1/invocations", "task=add")).await;
    assert_eq!((form.status, form.json()["kind"].as_str()), (415, Some("UnsupportedMediaType")));
    let method = site.send(Request::new("DELETE", site.port, "/api/v1/invocations")).await;
    assert_eq!((method.status, method.json()["kind"].as_str()), (405, Some("MethodNotAllowed")));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_app_is_read() {
    let site = Site::new(open_to_all()).await;
    let holder = site.app.submit(hang(7)).await.unwrap().id();
    site.reaches(holder, Status::Running).await;
    let blocked = site.app.submit(hang(7)).await.unwrap().id();
    site.reaches(blocked, Status::ConcurrencyControlled).await;

    let limits = site.read("/limits").await;
    assert_eq!(limits["keys"][0]["holders"], json!([holder]));
    assert_eq!((&limits["keys"][0]["blocked"], &limits["keys"][0]["next"]), (&json!(1), &json!(blocked)));
    let overview = site.read("/overview").await;
    assert_eq!(overview["app"], "site");
    assert_eq!(overview["statuses"], json!({"running": 1, "concurrency_controlled": 1}));
    assert_eq!((&overview["queues"][0]["name"], &overview["queues"][0]["blocked"]), (&json!("default"), &json!(1)));
    assert_eq!(overview["activity"]["minutes"].as_array().unwrap().len(), 60);
    let runners = site.read("/runners").await;
    assert_eq!((&runners[0]["state"], &runners[0]["owned"]), (&json!("alive"), &json!(1)));
    let tasks = site.read("/tasks").await;
    let add = tasks.as_array().unwrap().iter().find(|task| task["name"] == "web::add").unwrap();
    assert_eq!((&add["parameters"], &add["runners"]), (&json!(["x", "y"]), &json!(1)));
    let settings = site.read("/settings").await;
    assert!(
        settings.as_array().unwrap().iter().any(|setting| setting["key"] == "app_id" && setting["value"] == "site")
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_say_that_work_waits_for_nobody() {
    let site = Site::without_runner(open_to_all()).await;
    site.app.submit(add(1, 2)).await.unwrap();
    let overview = site.read("/overview").await;
    assert_eq!(overview["alerts"][0]["kind"], "no_runner");
    assert_has(overview["alerts"][0]["message"].as_str().unwrap(), "`default`, where 1 invocation");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_and_a_timeline_show_who_called_whom_and_when() {
    let site = Site::new(open_to_all()).await;
    let root = site.app.submit(parent()).await.unwrap();
    assert_eq!(root.result().await.unwrap(), 10);
    let tree = site.read(&format!("/invocations/{}/tree", root.id())).await;
    let nodes = tree["nodes"].as_array().unwrap();
    assert_eq!(
        nodes.iter().map(|node| node["task"].as_str().unwrap()).collect::<Vec<_>>(),
        ["web::parent", "web::add", "web::add"]
    );
    assert_eq!(nodes.iter().map(|node| &node["parent"]).collect::<Vec<_>>(), [&Value::Null, &json!(0), &json!(0)]);
    assert_eq!(nodes[0]["is_critical"], true);
    let child = nodes[1]["id"].as_str().unwrap();
    let below = site.read(&format!("/invocations/{child}/tree")).await;
    assert_eq!(below["oldest_ancestor"], root.id().to_string());

    let timeline = site.read("/timeline?limit=10").await;
    let bars = timeline["bars"].as_array().unwrap();
    assert_eq!(bars.len(), 3);
    let parent = bars.iter().find(|bar| bar["task"] == "web::parent").unwrap();
    let statuses: Vec<_> =
        parent["spans"].as_array().unwrap().iter().map(|span| span["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["registered", "pending", "running", "paused", "running", "paused", "running", "success"]);
    assert!(parent["spans"][2]["runner"].is_string() && parent["spans"][0]["runner"].is_null());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_resumes_a_workflow_and_fires_a_trigger() {
    let site = Site::new(open_to_all()).await;
    let run = site.app.submit(approve(5)).await.unwrap();
    while site.get(&format!("/api/v1/workflows/{}/journal", run.id())).await.json()[0]["name"] != "reserve" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let event = json!({"name": "approved", "payload": "ann", "key": "5"});
    let emitted = site.post("/api/v1/events", &event).await;
    assert_eq!(emitted.status, 201, "{}", emitted.body);
    assert_eq!(run.result().await.unwrap(), "ann");
    let runs = site.read("/workflows").await;
    assert_eq!((&runs["items"][0]["id"], &runs["items"][0]["status"]), (&json!(run.id()), &json!("success")));
    let journal = site.read(&format!("/workflows/{}/journal", run.id())).await;
    assert_eq!(journal[1]["value"]["payload"]["json"], "\"ann\"");

    let triggers = site.read("/triggers").await;
    let id = triggers[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/triggers/{}", id.replace(':', "%3A"));
    assert_eq!(site.post(&format!("{path}/pause"), &json!({})).await.json()["trigger"]["paused"], true);
    assert_eq!(site.read("/triggers").await[0]["paused"], true);
    let fired = site.post(&format!("{path}/fire"), &json!({})).await.json();
    let invocation = fired["invocation"].as_str().unwrap();
    assert_eq!(site.read(&format!("/invocations/{invocation}/outcome?wait=1m")).await["value"], "heard");
    assert_eq!(site.post(&format!("{path}/resume"), &json!({})).await.json()["trigger"]["paused"], false);
    let last = site.get(&format!("{path}/runs")).await.json();
    assert_eq!((&last[0]["invocation"], &last[0]["delivery"]), (&json!(invocation), &json!("submitted")));
    site.stop().await;
}
