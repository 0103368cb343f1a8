//! Tests of building an app from settings, and of the errors for wrong settings.

use pynenc::prelude::*;
use pynenc_testkit::RedisServer;

#[task(name = "billing.charge", max_retries = 2, queue = "billing")]
async fn charge(account: u32, amount: u32) -> u32 {
    account + amount
}

fn builder(variables: &[(&str, &str)]) -> pynenc::PynencBuilder {
    let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Pynenc::builder().without_config_file().environment(variables).without_linked_tasks().tasks(all_tasks())
}

async fn error(builder: pynenc::PynencBuilder) -> String {
    builder.build().await.unwrap_err().to_string()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![charge].into()
}

#[tokio::test]
async fn variables_override_code_and_code_overrides_defaults() {
    let options = async |variables: &[(&str, &str)]| {
        let app = builder(variables).set("task.priority", 3).build().await.unwrap();
        let task = app.tasks().find("billing.charge").unwrap();
        (task.options().max_retries, task.options().priority, task.options().queue.clone())
    };
    assert_eq!(options(&[]).await, (2, 3, "billing".to_owned()));
    let variables = [("PYNENC__TASK__BILLING__CHARGE__MAX_RETRIES", "9"), ("PYNENC__TASK__PRIORITY", "4")];
    assert_eq!(options(&variables).await, (9, 4, "billing".to_owned()));
}

#[tokio::test]
async fn four_variables_select_memory_mode() {
    let app = builder(&[
        ("PYNENC__ORCHESTRATOR_CLS", "MemOrchestrator"),
        ("PYNENC__BROKER_CLS", "MemBroker"),
        ("PYNENC__STATE_BACKEND_CLS", "pynenc_mem::MemStateBackend"),
        ("PYNENC__RUNNER_CLS", "ThreadRunner"),
    ]);
    let app = app.build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    assert_eq!(app.submit(charge(1, 2).queue("default")).await.unwrap().result().await.unwrap(), 3);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn several_processes_need_shared_stores() {
    let app = builder(&[("PYNENC__RUNNER_CLS", "ProcessRunner")]).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    let error = runner.shutdown().await.unwrap_err().to_string();
    assert!(
        error.contains("ProcessRunner") && error.contains("Redis") && error.contains("orchestrator_cls"),
        "{error}"
    );
}

#[tokio::test]
async fn unknown_components_are_explained() {
    let error = error(builder(&[("PYNENC__BROKER_CLS", "MenBroker")])).await;
    assert!(error.contains("broker_cls") && error.contains("did you mean: pynenc_mem::MemBroker"), "{error}");
    let arg_cache = self::error(builder(&[("PYNENC__ARG_CACHE_CLS", "DisabledArgCach")])).await;
    assert!(arg_cache.contains("arg_cache_cls") && arg_cache.contains("DisabledArgCache"), "{arg_cache}");
    let pickle = self::error(builder(&[("PYNENC__SERIALIZER_CLS", "PickleSerializer")])).await;
    assert!(pickle.contains("JsonSerializer") && pickle.contains("MsgPackSerializer"), "{pickle}");
}

#[tokio::test]
async fn an_unknown_key_is_reported_with_its_source() {
    let error = error(builder(&[("PYNENC__RUNNER__CONCURENCY", "3")])).await;
    assert!(error.contains("PYNENC__RUNNER__CONCURENCY") && error.contains("concurrency"), "{error}");
    let section = self::error(builder(&[("PYNENC__RUNER__CONCURRENCY", "3")])).await;
    assert!(section.contains("PYNENC__RUNER__CONCURRENCY") && section.contains("runner"), "{section}");
    let kind = self::error(builder(&[("PYNENC__RUNNER__CONCURRENCY", "many")])).await;
    assert!(kind.contains("PYNENC__RUNNER__CONCURRENCY") && kind.contains("runner.concurrency"), "{kind}");
}

#[tokio::test]
async fn an_option_that_names_no_parameter_is_a_build_error() {
    for option in ["running_concurrency", "registration_concurrency", "disable_cache_args"] {
        let value = if option == "disable_cache_args" { "acount" } else { "keys(acount)" };
        let variable = format!("PYNENC__TASK__BILLING__CHARGE__{}", option.to_uppercase());
        let error = error(builder(&[(&variable, value)])).await;
        assert!(error.contains(option) && error.contains("billing.charge"), "{error}");
        assert!(error.contains("acount") && error.contains("account"), "{error}");
    }
}

#[tokio::test]
async fn every_setting_can_be_explained() {
    let app = builder(&[("PYNENC__RUNNER__CONCURRENCY", "3")]).app_id("shop").build().await.unwrap();
    let settings = app.explain();
    let source = |key: &str| {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("{key} is missing"));
        (setting.value.as_str(), setting.source.as_str())
    };
    assert_eq!(source("runner.concurrency"), ("3", "PYNENC__RUNNER__CONCURRENCY"));
    assert_eq!(source("app_id"), ("shop", "builder"));
    assert_eq!(source("runner.lease"), ("15s", "default"));
}

#[tokio::test]
async fn a_task_listed_twice_is_registered_once() {
    let app = builder(&[]).tasks(tasks![charge, charge]).build().await.unwrap();
    assert_eq!(app.tasks().all().iter().filter(|task| task.id().as_str() == "billing.charge").count(), 1);
}

mod twin {
    use pynenc::prelude::*;

    pub(super) struct Twin;

    impl Task for Twin {
        type Arguments = <super::charge as Task>::Arguments;
        type Output = u32;

        fn definition() -> &'static pynenc::engine::TaskDefinition {
            static DEFINITION: pynenc::engine::TaskDefinition = pynenc::engine::TaskDefinition {
                name: "billing.charge",
                arguments: &[],
                options: pynenc::core::task_options::TaskPatch::NONE,
                function: pynenc::engine::task::TaskFunction::Blocking(|_| Ok(Vec::new())),
                check: |_| Ok(()),
                requires: |_| {},
                attachments: |_| {},
            };
            &DEFINITION
        }
    }
}

#[tokio::test]
async fn two_tasks_with_one_name_are_a_build_error() {
    let error = error(builder(&[]).tasks(tasks![twin::Twin])).await;
    assert!(error.contains("billing.charge") && error.contains("#[task(name = "), "{error}");
}

/// An error about the Redis address names its setting.
#[tokio::test]
async fn a_wrong_redis_address_names_its_setting() {
    let server = RedisServer::start();
    let port = server.port();
    for (url, part) in [
        ("nonsense".to_owned(), "redis.redis_url"),
        (format!("http://127.0.0.1:{port}"), "redis.redis_url"),
        (format!("redis://127.0.0.1:{port}/99"), "redis.redis_db"),
        (format!("redis://ana:wrong@127.0.0.1:{port}/0"), "redis.redis_password"),
    ] {
        let error = builder(&[]).redis(&url).build().await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{url}: {error:?}");
        assert!(error.to_string().contains(part), "{url}: {error}");
    }
    let error = Pynenc::builder().without_config_file().environment([]).redis("redis://127.0.0.1:1").build().await;
    let error = error.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("redis.redis_host"), "{error}");
}
