//! Tests of the book's ACL template for an app's user: the app can do everything it needs, and nothing with another
//! app's keys.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use pynenc::prelude::*;
use pynenc::workflows::RunFilter;
use pynenc::{ArgCacheMode, PynencBuilder};
use pynenc_testkit::RedisServer;
use pynenc_tests::variables::on_redis;

#[task(max_retries = 1, backoff = constant("1ms"))]
async fn shout(#[inject] context: TaskContext, text: String) -> Result<String, String> {
    if context.attempt_number() == 1 { Err("not yet".to_owned()) } else { Ok(text.to_uppercase()) }
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn seen(n: u64) -> u64 {
    n
}

#[task]
async fn sums(count: u64) -> Result<u64> {
    let group = TaskContext::current()?.submit_all((0..count).map(seen)).await?;
    Ok(group.results().await?.into_iter().sum())
}

#[workflow]
async fn answered(#[inject] wf: Workflow) -> Result<u64> {
    wf.set_data("asked", &true).await?;
    let answer = wf.wait_for_event::<u64>("answer").await?;
    wf.execute(seen(answer)).await
}

/// Runs the page's command that creates the user, with additional rules that the page mentions.
fn template(server: &RedisServer, more: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/operating-redis.md");
    let page = std::fs::read_to_string(path).unwrap();
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER shop ")).expect("the page has the template");
    assert!(page.contains(more), "the page doesn't mention {more}");
    let words: Vec<_> = line.split(' ').chain(more.split(' ').filter(|word| !word.is_empty())).collect();
    assert_eq!(server.command(&words), "OK");
}

fn url(server: &RedisServer) -> String {
    format!("redis://shop:secret@127.0.0.1:{}/0", server.port())
}

fn builder(server: &RedisServer, app_id: &str) -> PynencBuilder {
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().app_id(app_id);
    let tasks = tasks![shout, seen, sums, answered];
    builder.tasks(tasks).redis(&url(server)).arg_cache(ArgCacheMode::Redis, 100, 8)
}

/// Uses every part of an app.
async fn use_all(server: &RedisServer) {
    let app = builder(server, "shop")
        .trigger(on_event::<u64>("counted").call(|cx| seen(*cx.payload())).id("event"))
        .trigger(on_cron("* * * * * *").call(|_| seen(7)).id("second"))
        .set("redis.start_check", "warn");
    let worker = builder(server, "shop")
        .trigger(on_event::<u64>("counted").call(|cx| seen(*cx.payload())).id("event"))
        .trigger(on_cron("* * * * * *").call(|_| seen(7)).id("second"));
    let (app, runner) = (app.build().await.unwrap(), worker.build().await.unwrap().start_runner().await.unwrap());
    let large = "a".repeat(5000);
    assert_eq!(app.submit(shout(large.clone())).await.unwrap().result().await.unwrap(), large.to_uppercase());
    assert_eq!(app.submit(sums(20)).await.unwrap().result().await.unwrap(), 190);
    let later = app.submit(seen(3).delay(millis(50)).idempotency_key("once")).await.unwrap();
    assert_eq!(later.result().await.unwrap(), 3);
    let run = app.submit(answered()).await.unwrap();
    let never = app.submit(seen(1).delay(hours(1))).await.unwrap();
    assert!(!app.why(never.id()).await.unwrap().to_string().is_empty());
    assert!(app.cancel(never.id()).await.unwrap());
    app.emit_event("answer", &42_u64).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 42);
    assert_eq!(app.workflows().runs(&RunFilter::default(), 10).await.unwrap().runs.len(), 1);
    app.emit_event("counted", &5_u64).await.unwrap();
    for trigger in ["event", "second"] {
        while app.triggers().runs(trigger, 1).await.unwrap().is_empty() {
            tokio::time::sleep(millis(10)).await;
        }
    }
    check_commands(server);
    runner.shutdown().await.unwrap();
    app.purge().await.unwrap();
    let error = app.status(run.id()).await.unwrap_err();
    assert!(matches!(error, Error::InvocationNotFound(_)), "{error}");
}

/// Runs the read-only commands of the command line.
fn check_commands(server: &RedisServer) {
    let variables = on_redis("shop", &url(server), &[("ARG_CACHE_CLS", "RedisArgCache")]);
    for words in ["check", "queues", "runners", "invocations", "triggers", "workflows runs", "config"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cli-app"));
        command.args(words.split(' ')).arg("--json").current_dir(server.folder());
        command.envs(&variables);
        let ran = command.output().unwrap();
        let output = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{words}: {output}");
        assert!(!output.contains("secret"), "{words} prints the password: {output}");
    }
}

/// The server's replies to the app's user, one line for each command.
fn answers(server: &RedisServer, commands: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let lines = commands.iter().map(|command| format!("{command}\r\n"));
    let request: String = ["AUTH shop secret\r\n".to_owned()].into_iter().chain(lines).collect();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().skip(1).map(str::to_owned).collect()
}

/// Checks that other apps' keys and server administration are refused.
async fn check_refused(server: &RedisServer) {
    let error = builder(server, "other").build().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("credentials"), "{error}");
    let commands = [
        "GET {other}:o:c",
        "SET {other}:o:c 1",
        "DEL {other}:o:c",
        "GET {shopping}:o:c",
        "GET shop:o:c",
        "EVAL \"return redis.call('GET',KEYS[1])\" 1 {other}:o:c",
        "EVAL \"return redis.call('GET','{other}:o:c')\" 0",
        "PUBLISH {other}:o:2 x",
        "SUBSCRIBE {other}:o:2",
        "CONFIG GET requirepass",
        "CONFIG SET maxmemory 1",
        "FLUSHALL",
        "FLUSHDB",
        "SWAPDB 0 1",
        "KEYS *",
        "SHUTDOWN",
        "DEBUG SLEEP 0",
        "ACL LIST",
        "ACL SETUSER shop allkeys",
        "MONITOR",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
        "REPLICAOF NO ONE",
        "MODULE LIST",
        "SAVE",
        "MIGRATE 127.0.0.1 1 {shop}:x 0 10",
    ];
    let answers = answers(server, &commands);
    assert_eq!(answers.len(), commands.len(), "{answers:#?}");
    for (command, answer) in commands.iter().zip(answers) {
        let refusals = ["The user executing the script", "ACL failure in script"];
        let is_refused = answer.starts_with("-NOPERM") || refusals.iter().any(|text| answer.contains(text));
        assert!(is_refused, "{command}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_acl_allows_one_app_and_no_other() {
    let server = RedisServer::start();
    template(&server, "");
    use_all(&server).await;
    check_refused(&server).await;
    if server.has_command("FUNCTION") {
        let functions = server.command(&["FUNCTION", "LIST"]);
        assert!(functions.contains("pynenc"), "the app uses functions: {functions}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_functions_is_served_by_scripts() {
    let server = RedisServer::start();
    let has_functions = server.has_command("FUNCTION");
    // Servers before version 7 refuse rules that name unknown commands.
    template(&server, if has_functions { "-function -fcall" } else { "" });
    use_all(&server).await;
    check_refused(&server).await;
    let used = server.command(&["INFO", "commandstats"]);
    assert!(used.contains("cmdstat_evalsha:"), "{used}");
    if has_functions {
        assert_eq!(server.command(&["FUNCTION", "LIST"]), "");
        let refused = answers(&server, &["FUNCTION FLUSH", "FUNCTION LOAD x", "FCALL x 0"]);
        assert!(refused.iter().all(|answer| answer.starts_with("-NOPERM")), "{refused:?}");
    }
}

/// Workers report permissions that are revoked while they run, and continue without loss when they are restored.
#[tokio::test(flavor = "multi_thread")]
async fn workers_continue_when_revoked_permissions_are_restored() {
    let server = RedisServer::start();
    template(&server, "");
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let tasks = || tasks![held, seen];
    let app = |state| builder(&server, "shop").tasks(tasks()).state(Gate(state));
    let client = app(gate.clone()).build().await.unwrap();
    let runner = app(gate.clone()).build().await.unwrap().start_runner().await.unwrap();
    let running = client.submit(held()).await.unwrap();
    while running.status().await.unwrap() != Status::Running {
        tokio::time::sleep(millis(5)).await;
    }
    for revoked in [
        vec!["-mset", "-set", "-zadd"],
        vec!["-@all"],
        vec!["+@all", "resetkeys"],
        vec!["resetpass", ">another"],
        vec!["off"],
    ] {
        server.command(&[&["ACL", "SETUSER", "shop"][..], &revoked].concat());
        server.kill_clients();
        let error = client.submit(seen(1)).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{revoked:?}: {error:?}");
        let message = format!("{error:?} {error}");
        assert!(!message.contains("secret"), "{message}");
    }
    // The task finishes while the server refuses its outcome. The worker keeps the outcome.
    gate.add_permits(1);
    tokio::time::sleep(millis(300)).await;
    server.command(&["ACL", "SETUSER", "shop", "reset"]);
    template(&server, "");
    assert_eq!(running.result_timeout(secs(20)).await.unwrap(), 9);
    let starts = running.history().await.unwrap().iter().filter(|entry| entry.status == Status::Running).count();
    assert_eq!(starts, 1, "the worker keeps the outcome until the server accepts it");
    assert_eq!(client.submit(seen(2)).await.unwrap().result_timeout(secs(20)).await.unwrap(), 2);
    runner.shutdown().await.unwrap();
}

struct Gate(std::sync::Arc<tokio::sync::Semaphore>);

#[task]
async fn held(#[inject] gate: State<Gate>) -> u64 {
    gate.0.acquire().await.expect("the semaphore is open").forget();
    9
}
