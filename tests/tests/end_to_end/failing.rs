//! Tests of errors, panics, retries and timeouts.

use std::sync::atomic::{AtomicU32, Ordering};

use pynenc::engine::Error as PynencError;
use pynenc::prelude::*;
use pynenc::{Reason, TaskError};

use crate::backend::{App, Backend, on_each_backend, time_in};

#[derive(Debug)]
struct BadWeather(std::io::Error);

impl std::fmt::Display for BadWeather {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it rains")
    }
}

impl std::error::Error for BadWeather {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[task]
async fn fails() -> Result<(), BadWeather> {
    Err(BadWeather(std::io::Error::other("a cloud")))
}

#[task]
async fn says(text: String) -> Result<(), String> {
    Err(text)
}

#[task]
async fn panics() -> u8 {
    panic!("no way out of {}", 7)
}

#[task]
fn panics_plainly() -> u8 {
    panic!("plainly")
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a panic in a destructor");
    }
}

#[task]
async fn panics_when_dropped() -> u8 {
    let _panics = PanicsOnDrop;
    std::future::pending().await
}

#[task(max_retries = 2, backoff = constant("300ms"))]
async fn fails_twice(#[inject] context: TaskContext) -> Result<u32, String> {
    match context.attempt_number() {
        3 => Ok(3),
        number => Err(format!("attempt {number}")),
    }
}

#[task(max_retries = 1, backoff = none)]
async fn never_works(#[inject] count: State<AtomicU32>) -> Result<(), String> {
    count.fetch_add(1, Ordering::Relaxed);
    Err("no".into())
}

#[task(max_retries = 1)]
async fn asks_for_patience(#[inject] context: TaskContext) -> Result<()> {
    if context.attempt_number() == 1 {
        return Err(Retry::after(millis(300)).because("busy").into());
    }
    Ok(())
}

#[task(timeout = "300ms")]
async fn hangs() {
    std::future::pending::<()>().await;
}

#[task(timeout = "300ms", max_retries = 1, backoff = none)]
async fn hangs_once(#[inject] context: TaskContext) -> u32 {
    if context.attempt_number() == 1 {
        std::future::pending::<()>().await;
    }
    context.attempt_number()
}

async fn app(backend: Backend) -> App {
    backend.app(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(AtomicU32::new(0))).await
}

async fn error_of<T: Task>(app: &App, call: Call<T>) -> TaskError {
    match app.submit(call).await.unwrap().result().await {
        Err(PynencError::TaskFailed(error)) => error,
        Ok(_) => panic!("the task succeeded"),
        Err(other) => panic!("{other:?}"),
    }
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        fails,
        says,
        panics,
        panics_plainly,
        panics_when_dropped,
        fails_twice,
        never_works,
        asks_for_patience,
        hangs,
        hangs_once
    ]
    .into()
}

on_each_backend![
    an_error_keeps_its_type_name_message_and_sources,
    a_panic_fails_its_own_invocation_and_nothing_else,
    a_panicking_destructor_doesnt_stop_the_runner,
    retries_wait_for_their_backoff_and_are_in_the_history,
    a_task_fails_after_its_last_retry,
    a_task_can_request_its_retry_delay,
    a_timeout_stops_a_task_and_counts_as_an_attempt,
    result_timeout_limits_only_the_wait,
];

async fn an_error_keeps_its_type_name_message_and_sources(backend: Backend) {
    let error = error_of(&app(backend).await, fails()).await;
    assert_eq!((error.kind.as_str(), error.message.as_str(), error.attempt), ("BadWeather", "it rains", 1));
    assert_eq!(error.source_chain, ["a cloud"]);
    assert_eq!(error_of(&app(backend).await, says("by text".into())).await.message, "by text");
}

async fn a_panic_fails_its_own_invocation_and_nothing_else(backend: Backend) {
    let app = app(backend).await;
    let error = error_of(&app, panics()).await;
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Panic", "no way out of 7"));
    assert_eq!(error_of(&app, panics_plainly()).await.message, "plainly");
    assert_eq!(app.submit(hangs_once()).await.unwrap().result().await.unwrap(), 2, "the runner still works");
}

async fn a_panicking_destructor_doesnt_stop_the_runner(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(panics_when_dropped()).await.unwrap();
    app.reaches(&invocation, Status::Running).await;
    assert!(!invocation.cancel().await.unwrap());
    assert!(matches!(invocation.result().await, Err(PynencError::Cancelled(_))));
    assert_eq!(app.submit(fails_twice()).await.unwrap().result().await.unwrap(), 3, "the runner still works");
}

async fn retries_wait_for_their_backoff_and_are_in_the_history(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(fails_twice()).await.unwrap();
    app.reaches(&invocation, Status::Retry).await;
    assert_eq!(invocation.result().await.unwrap(), 3);
    assert!(time_in(&invocation, Status::Retry).await >= millis(300), "never early");
    let history = invocation.history().await.unwrap();
    let errors: Vec<_> =
        history.iter().filter(|entry| entry.status == Status::Retry).map(|entry| entry.detail.as_deref()).collect();
    assert_eq!(errors, [Some("String: attempt 1"), Some("String: attempt 2")]);
}

async fn a_task_fails_after_its_last_retry(backend: Backend) {
    let app = app(backend).await;
    let error = error_of(&app, never_works()).await;
    assert_eq!(error.attempt, 2);
    assert_eq!(error_of(&app, never_works().max_retries(3)).await.attempt, 4, "the call's option overrides the task's");
}

async fn a_task_can_request_its_retry_delay(backend: Backend) {
    let app = app(backend).await;
    let invocation = app.submit(asks_for_patience()).await.unwrap();
    invocation.result().await.unwrap();
    assert!(time_in(&invocation, Status::Retry).await >= millis(300), "never early");
}

async fn a_timeout_stops_a_task_and_counts_as_an_attempt(backend: Backend) {
    let app = app(backend).await;
    let hung = app.submit(hangs()).await.unwrap();
    let Err(PynencError::TaskFailed(error)) = hung.result().await else { panic!("the task didn't time out") };
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Timeout", "ran longer than 300ms"));
    assert_eq!(hung.history().await.unwrap().last().unwrap().reason, Reason::TimedOut);
    assert!(time_in(&hung, Status::Running).await >= millis(300), "never early");
    assert_eq!(app.submit(hangs_once()).await.unwrap().result().await.unwrap(), 2);
    let call = hangs().timeout(millis(100));
    assert_eq!(error_of(&app, call).await.message, "ran longer than 100ms", "the call's option overrides the task's");
}

async fn result_timeout_limits_only_the_wait(backend: Backend) {
    let app = app(backend).await;
    let hung = app.submit(hangs().timeout(hours(1))).await.unwrap();
    assert!(matches!(hung.result_timeout(millis(200)).await, Err(PynencError::Timeout(_))));
    assert_eq!(hung.status().await.unwrap(), Status::Running);
}
