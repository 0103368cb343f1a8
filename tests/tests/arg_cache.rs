//! Tests of large arguments, results and errors on each backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pynenc::core::ArgCache;
use pynenc::core::record::{Outcome, Payload};
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::{ArgCacheMode, PynencBuilder, RunnerHandle};
use pynenc_testkit::{Fault, Proxy, RedisServer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

const HOUR: Duration = Duration::from_secs(3600);

#[task]
async fn shout(text: String) -> String {
    text.to_uppercase()
}

#[task]
fn bump(mut data: Vec<u8>) -> u64 {
    data.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
    data.iter().map(|byte| u64::from(*byte)).sum()
}

#[task]
fn length(data: Cached<Vec<u8>>, plus: usize) -> usize {
    data.len() + plus
}

#[task(disable_cache_args(text))]
async fn kept_in_the_call(text: String) -> usize {
    text.len()
}

#[task]
async fn fails_at_length(text: String) -> Result<(), String> {
    Err(text)
}

#[task]
fn makes(bytes: usize) -> Vec<u8> {
    vec![7; bytes]
}

#[task]
fn total(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum()
}

#[task]
async fn echo(value: serde_json::Value) -> serde_json::Value {
    value
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn shouts_in_turn(text: String, #[inject] gate: State<tokio::sync::Notify>) -> usize {
    gate.notified().await;
    text.len()
}

#[task]
async fn passes_on(data: Cached<Counted>) -> Result<usize> {
    let calls = (0..4).map(|n| measured(data.clone(), n));
    Ok(TaskContext::current()?.submit_all(calls).await?.results().await?.into_iter().sum())
}

#[task]
async fn measured(data: Cached<Counted>, n: usize) -> usize {
    data.text.len() + n
}

/// Counts how often it is encoded and decoded in this process.
#[derive(Debug)]
struct Counted {
    text: String,
}

static WRITTEN: AtomicUsize = AtomicUsize::new(0);
static READ: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        READ.fetch_add(1, Ordering::Relaxed);
        Ok(Self { text })
    }
}

fn builder() -> PynencBuilder {
    let tasks = tasks![
        shout,
        bump,
        length,
        kept_in_the_call,
        fails_at_length,
        makes,
        total,
        echo,
        shouts_in_turn,
        passes_on,
        measured
    ];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    builder.state(tokio::sync::Notify::new())
}

/// A client and a runner. Over Redis they are separate apps.
struct Setup {
    app: Pynenc,
    handle: RunnerHandle,
}

impl Setup {
    async fn in_memory(_name: &str) -> Self {
        let app = builder().memory().arg_cache(ArgCacheMode::Memory, 1024, 1000).build().await.unwrap();
        let handle = app.start_runner().await.unwrap();
        Self { app, handle }
    }

    async fn over_redis(name: &str) -> Self {
        Self::over(&SERVER, name).await
    }

    async fn over(server: &RedisServer, name: &str) -> Self {
        let app = || builder().app_id(name).redis(&server.url()).arg_cache(ArgCacheMode::Redis, 1024, 1000).build();
        let (app, runner) = (app().await.unwrap(), app().await.unwrap());
        let handle = runner.start_runner().await.unwrap();
        Self { app, handle }
    }

    async fn payload<T: Task>(&self, invocation: &Invocation<T>) -> Payload {
        let record = self.app.parts().state.invocations(&[invocation.id()]).await.unwrap().remove(0).unwrap();
        record.arguments[0].value.clone()
    }

    async fn stop(self) {
        self.handle.shutdown().await.unwrap();
    }
}

macro_rules! over_each_backend {
    ($($check:ident,)+) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Setup::in_memory(stringify!($check)).await).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Setup::over_redis(stringify!($check)).await).await;
            })+
        }
    };
}

over_each_backend! {
    large_values_are_stored_outside_their_calls,
    a_task_cant_change_another_tasks_argument,
    large_errors_round_trip,
    a_value_that_looks_like_a_reference_stays_a_value,
    altered_or_missing_content_fails_only_its_own_invocation,
    eight_megabytes_of_numbers_or_bytes_are_accepted,
}

async fn large_values_are_stored_outside_their_calls(setup: Setup) {
    let text = "x".repeat(10_000);
    let large = setup.app.submit(shout(text.clone())).await.unwrap();
    assert_eq!(large.result().await.unwrap(), text.to_uppercase());
    assert_eq!(format!("{:?}", setup.payload(&large).await).split(',').next(), Some("External(10002 bytes"));
    let outcome = setup.app.parts().state.outcome(large.id(), 1).await.unwrap();
    assert!(matches!(outcome, Some(Outcome::Value { value: Payload::External { size: 10_002, .. }, .. })));
    for inline in [
        setup.payload(&setup.app.submit(shout("x".repeat(1000))).await.unwrap()).await,
        setup.payload(&setup.app.submit(shout(text.clone()).disable_cache_args(["text"])).await.unwrap()).await,
        setup.payload(&setup.app.submit(shout(text.clone()).disable_cache_args(["*"])).await.unwrap()).await,
        setup.payload(&setup.app.submit(kept_in_the_call(text.clone())).await.unwrap()).await,
    ] {
        assert!(matches!(inline, Payload::Inline(_)), "{inline:?}");
    }
    setup.stop().await;
}

async fn a_task_cant_change_another_tasks_argument(setup: Setup) {
    let data = vec![1; 5000];
    let group = setup.app.submit_all((0..8).map(|_| bump(data.clone()))).await.unwrap();
    assert_eq!(group.results().await.unwrap(), [10_000; 8]);
    setup.stop().await;
}

async fn large_errors_round_trip(setup: Setup) {
    for text in ["é".repeat(50_000), "short".to_owned()] {
        let invocation = setup.app.submit(fails_at_length(text.clone())).await.unwrap();
        let Err(Error::TaskFailed(error)) = invocation.result().await else { panic!("expected a failed task") };
        assert_eq!((error.kind.as_str(), error.message == text), ("String", true));
        let line = invocation.history().await.unwrap().pop().unwrap();
        assert!(line.detail.unwrap().len() < 3000, "the history has the beginning of the error");
    }
    setup.stop().await;
}

/// The engine encodes every value of a caller, so a value in the form of a reference stays a value.
async fn a_value_that_looks_like_a_reference_stays_a_value(setup: Setup) {
    let stored = setup.app.submit(shout("x".repeat(2000))).await.unwrap();
    let reference = setup.payload(&stored).await;
    let forged = serde_json::to_value(&reference).unwrap();
    let texts = [format!("{reference:?}"), forged.to_string(), "\u{0}\u{1}".to_owned()];
    for value in texts.into_iter().map(serde_json::Value::from).chain([forged]) {
        let invocation = setup.app.submit(echo(value.clone())).await.unwrap();
        assert_eq!(invocation.result().await.unwrap(), value);
    }
    setup.stop().await;
}

fn cache(app: &Pynenc) -> &dyn ArgCache {
    app.parts().arg_cache.as_deref().expect("the app has an argument cache")
}

async fn altered_or_missing_content_fails_only_its_own_invocation(setup: Setup) {
    let cache = cache(&setup.app);
    let text = |n: usize| format!("{n} {}", "text ".repeat(1000));
    let mut late = Vec::new();
    for n in 0..5 {
        late.push(setup.app.submit(shout(text(n)).delay(millis(300))).await.unwrap());
    }
    let digests = [0, 1, 2, 3, 4].map(|n| setup.payload(&late[n]));
    let digests = futures_util::future::join_all(digests).await;
    let digest = |n: usize| digests[n].digest().unwrap();
    let other = cache.get(digest(4), HOUR).await.unwrap().unwrap();
    for n in 0..4 {
        cache.remove(digest(n)).await.unwrap();
    }
    cache.put(digest(1), Bytes::from_static(b"anything"), HOUR).await.unwrap();
    cache.put(digest(2), other, HOUR).await.unwrap();
    cache.put(digest(3), Bytes::from(vec![1; 100_000]), HOUR).await.unwrap();
    for (n, word) in ["missing", "altered", "altered", "altered"].into_iter().enumerate() {
        match late[n].result().await {
            Err(Error::ArgumentsUnavailable { id, detail }) => {
                assert!(id == late[n].id() && detail.contains(word) && detail.contains("argument: text"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(late[4].result().await.unwrap(), text(4).to_uppercase());
    let again = setup.app.submit(shout(text(2))).await.unwrap();
    assert_eq!(again.result().await.unwrap(), text(2).to_uppercase(), "altered content is sent again");
    setup.stop().await;
}

async fn eight_megabytes_of_numbers_or_bytes_are_accepted(setup: Setup) {
    let numbers: Vec<f64> = (0..1_000_000).map(|n| f64::from(n) / 7.0).collect();
    let sum = numbers.iter().sum::<f64>();
    let found = setup.app.submit(total(numbers)).await.unwrap().result().await.unwrap();
    assert!((found - sum).abs() < f64::EPSILON * sum);
    let bytes = Cached::new((0..8_000_000_u32).map(|n| n as u8).collect::<Vec<_>>());
    let lengths = setup.app.submit_all((0..3).map(|n| length(bytes.clone(), n))).await.unwrap();
    assert_eq!(lengths.results().await.unwrap(), [8_000_000, 8_000_001, 8_000_002]);
    let payload = setup.payload(&lengths.invocations()[0]).await;
    assert_eq!(payload.size(), 8_000_001, "bytes stay bytes");
    setup.stop().await;
}

/// The proxy corrupts the content once when a worker reads it.
#[tokio::test(flavor = "multi_thread")]
async fn content_corrupted_in_transit_is_read_again() {
    let server = RedisServer::start();
    let proxy = Proxy::in_front_of(&server);
    let app =
        |url: String| builder().app_id("corrupted").redis(&url).arg_cache(ArgCacheMode::Redis, 1024, 1000).build();
    let (client, worker) = (app(server.url()).await.unwrap(), app(proxy.url().to_owned()).await.unwrap());
    let handle = worker.start_runner().await.unwrap();
    let text = "text ".repeat(1000);
    let invocation = client.submit(shout(text.clone()).delay(millis(300))).await.unwrap();
    let record = client.parts().state.invocations(&[invocation.id()]).await.unwrap().remove(0).unwrap();
    let digest = record.arguments[0].value.digest().unwrap();
    proxy.once(digest.as_bytes(), Fault::CorruptReply);
    assert_eq!(invocation.result().await.unwrap(), text.to_uppercase());
    assert_eq!(proxy.pending(), 0, "a reply is corrupted");
    assert!(cache(&client).get(digest, HOUR).await.unwrap().is_some(), "the content is still in the cache");
    handle.shutdown().await.unwrap();
}

/// The bytes that the server has received and sent.
fn traffic(server: &RedisServer) -> (u64, u64) {
    let report = server.command(&["INFO", "stats"]);
    let value = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    (value("total_net_input_bytes"), value("total_net_output_bytes"))
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_content_travels_once_to_the_store_and_once_to_each_process() {
    const SIZE: u64 = 2_000_000;
    let random = std::iter::successors(Some(88_172_645_463_325_252_u64), |n| {
        let n = n ^ (n << 13);
        let n = n ^ (n >> 7);
        Some(n ^ (n << 17))
    });
    let noise: Vec<_> = random.map(|n| (n >> 32) as u8).take(SIZE as usize).collect();
    let server = RedisServer::start();
    let setup = Setup::over(&server, "traffic").await;
    let data = Cached::new(noise.clone());
    let (before_in, before_out) = traffic(&server);
    let group = setup.app.submit_all((0..25).map(|n| length(data.clone(), n))).await.unwrap();
    let singles = (0..25).map(|n| setup.app.submit(length(data.clone(), n)));
    let singles = futures_util::future::try_join_all(singles).await.unwrap();
    assert_eq!(group.results().await.unwrap().len() + singles.len(), 50);
    for single in singles {
        single.result().await.unwrap();
    }
    let other_client = builder().app_id("traffic").redis(&server.url()).arg_cache(ArgCacheMode::Redis, 1024, 1000);
    let other_client = other_client.build().await.unwrap();
    let same = other_client.submit(length(Cached::new(noise), 7)).await.unwrap();
    assert_eq!(same.result().await.unwrap(), SIZE as usize + 7);
    let (after_in, after_out) = traffic(&server);
    let (sent, read) = (after_in - before_in, after_out - before_out);
    assert!((SIZE..SIZE + 300_000).contains(&sent), "{sent} bytes were sent");
    assert!((SIZE..SIZE + 300_000).contains(&read), "{read} bytes were read");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_value_is_encoded_and_decoded_once_in_a_process() {
    let setup = Setup::in_memory("").await;
    let data = Cached::new(Counted { text: "text ".repeat(1000) });
    let group = setup.app.submit_all((0..10).map(|n| measured(data.clone(), n))).await.unwrap();
    group.results().await.unwrap();
    // The value is encoded for its size and for the store. A debug build decodes it once for all calls.
    let read = 1 + usize::from(cfg!(debug_assertions));
    assert_eq!((WRITTEN.load(Ordering::Relaxed), READ.load(Ordering::Relaxed)), (2, read));
    assert_eq!(setup.app.submit(passes_on(data)).await.unwrap().result().await.unwrap(), 20_006);
    assert_eq!(
        (WRITTEN.load(Ordering::Relaxed), READ.load(Ordering::Relaxed)),
        (2, read),
        "a shared value is passed on in its encoded form"
    );
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_serializers_accept_large_values() {
    for serializer in ["JsonSerializer", "MsgPackSerializer"] {
        let app = builder().memory().arg_cache(ArgCacheMode::Memory, 1024, 10).set("serializer_cls", serializer);
        let app = app.build().await.unwrap();
        let runner = app.start_runner().await.unwrap();
        eight_megabytes_of_numbers_or_bytes_are_accepted(Setup { app, handle: runner }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_above_the_limit_is_refused_where_it_is_made() {
    let app = builder().memory().arg_cache(ArgCacheMode::Memory, 1024, 10).set("arg_cache.max_size", 20_000);
    let app = app.build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    let error = app.submit(shout("x".repeat(30_000))).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("arg_cache.max_size") && text.contains("argument: text"), "{text}");
    match app.submit(makes(30_000)).await.unwrap().result().await {
        Err(Error::TaskFailed(error)) => {
            assert!(error.kind == "ResultRejected" && error.message.contains("arg_cache.max_size"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(app.submit(makes(10_000)).await.unwrap().result().await.unwrap().len(), 10_000);
    runner.shutdown().await.unwrap();
}

async fn test_app() -> TestApp {
    let short = |app: PynencBuilder| {
        app.set("arg_cache.ttl", "1h").set("retention.results", "1h").set("retention.failures", "1h")
    };
    TestApp::with(|app| {
        let app = short(app).state(tokio::sync::Notify::new()).without_linked_tasks();
        app.tasks(tasks![shout, shouts_in_turn]).arg_cache(ArgCacheMode::Memory, 1024, 2)
    })
    .await
    .unwrap()
}

async fn is_there<T: Task>(app: &Pynenc, invocation: &Invocation<T>) -> bool {
    let record = app.parts().state.invocations(&[invocation.id()]).await.unwrap().remove(0).unwrap();
    let digest = record.arguments[0].value.digest().unwrap();
    cache(app).renew(&[digest], Duration::from_secs(1)).await.unwrap()[0]
}

#[tokio::test]
async fn content_is_kept_while_it_is_needed() {
    let app = test_app().await;
    let used = app.submit(shout("x".repeat(5000))).await.unwrap();
    used.result().await.unwrap();
    app.advance(minutes(59)).await;
    assert!(is_there(&app, &used).await);
    let late = app.submit(shout("y".repeat(5000)).delay(hours(100))).await.unwrap();
    app.advance(hours(2)).await;
    let gone = app.submit(shout("x".repeat(5000)).delay(hours(200))).await.unwrap();
    assert!(is_there(&app, &gone).await, "the content is stored again");
    app.advance(hours(98)).await;
    assert_eq!(late.result().await.unwrap().len(), 5000);
}

#[tokio::test]
async fn unneeded_content_is_dropped() {
    let app = test_app().await;
    let used = app.submit(shout("x".repeat(5000))).await.unwrap();
    used.result().await.unwrap();
    let record = app.parts().state.invocations(&[used.id()]).await.unwrap().remove(0).unwrap();
    let digest = record.arguments[0].value.digest().unwrap();
    app.advance(minutes(121)).await;
    assert_eq!(cache(&app).renew(&[digest], HOUR).await.unwrap(), [false]);
}

/// The sweep renews the content of waiting invocations page by page.
#[tokio::test]
async fn content_of_long_waiting_invocations_is_renewed() {
    let app = test_app().await;
    let texts = |n: u32| format!("{n:04}{}", "x".repeat(2000));
    let group = app.submit_all((0..700).map(|n| shouts_in_turn(texts(n)))).await.unwrap();
    app.advance(hours(30)).await;
    assert_eq!(app.count(Status::ConcurrencyControlled).await.unwrap(), 699);
    for invocation in [&group.invocations()[1], &group.invocations()[699]] {
        assert!(is_there(&app, invocation).await);
    }
}

#[tokio::test]
async fn the_redis_cache_needs_a_redis_url() {
    let error = builder().memory().arg_cache(ArgCacheMode::Redis, 1024, 10).build().await.unwrap_err().to_string();
    assert!(error.contains(".redis(url)") && error.contains("RedisArgCache"), "{error}");
    let url = SERVER.url();
    let beside = builder().memory().arg_cache(ArgCacheMode::Redis, 1024, 10).set("redis.redis_url", url.as_str());
    beside.build().await.unwrap();
    let disabled = builder().memory().arg_cache(ArgCacheMode::Disabled, 1024, 10).build().await.unwrap();
    let runner = disabled.start_runner().await.unwrap();
    let inline = disabled.submit(shout("x".repeat(5000))).await.unwrap();
    assert_eq!(inline.result().await.unwrap().len(), 5000);
    let record = disabled.parts().state.invocations(&[inline.id()]).await.unwrap().remove(0).unwrap();
    assert!(matches!(record.arguments[0].value, Payload::Inline(_)));
    runner.shutdown().await.unwrap();
}
