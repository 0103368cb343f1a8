//! Errors, panics, retries, time limits.

use std::sync::atomic::{AtomicU32, Ordering};

use pynenc::engine::Error as PynencError;
use pynenc::prelude::*;
use pynenc::{Reason, TaskError};

use crate::place::{App, Place, on_both, time_in};

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

struct Thorn;

impl Drop for Thorn {
    fn drop(&mut self) {
        panic!("a thorn in a destructor");
    }
}

#[task]
async fn hurts_when_dropped() -> u8 {
    let _thorn = Thorn;
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

async fn app(place: Place) -> App {
    place.app(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(AtomicU32::new(0))).await
}

async fn error_of<T: Task>(app: &App, call: Call<T>) -> TaskError {
    match app.submit(call).await.unwrap().result().await {
        Err(PynencError::TaskFailed(error)) => error,
        Ok(_) => panic!("it succeeded"),
        Err(other) => panic!("{other:?}"),
    }
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        fails,
        says,
        panics,
        panics_plainly,
        hurts_when_dropped,
        fails_twice,
        never_works,
        asks_for_patience,
        hangs,
        hangs_once
    ]
    .into()
}

on_both![
    an_error_keeps_its_type_name_message_and_sources,
    a_panic_fails_its_own_invocation_and_nothing_else,
    a_destructor_that_panics_costs_nobody_the_runner,
    retries_wait_for_their_back_off_and_are_in_the_history,
    after_its_last_retry_a_task_has_failed,
    a_body_may_say_when_to_run_it_again,
    a_time_limit_ends_a_body_and_counts_as_an_attempt,
    a_waiting_caller_has_a_time_limit_of_its_own,
];

async fn an_error_keeps_its_type_name_message_and_sources(place: Place) {
    let error = error_of(&app(place).await, fails()).await;
    assert_eq!((error.kind.as_str(), error.message.as_str(), error.attempt), ("BadWeather", "it rains", 1));
    assert_eq!(error.source_chain, ["a cloud"]);
    assert_eq!(error_of(&app(place).await, says("by text".into())).await.message, "by text");
}

async fn a_panic_fails_its_own_invocation_and_nothing_else(place: Place) {
    let app = app(place).await;
    let error = error_of(&app, panics()).await;
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Panic", "no way out of 7"));
    assert_eq!(error_of(&app, panics_plainly()).await.message, "plainly");
    assert_eq!(app.submit(hangs_once()).await.unwrap().result().await.unwrap(), 2, "the runner lives");
}

async fn a_destructor_that_panics_costs_nobody_the_runner(place: Place) {
    let app = app(place).await;
    let hurt = app.submit(hurts_when_dropped()).await.unwrap();
    app.reaches(&hurt, Status::Running).await;
    assert!(!hurt.cancel().await.unwrap());
    assert!(matches!(hurt.result().await, Err(PynencError::Cancelled(_))));
    assert_eq!(app.submit(fails_twice()).await.unwrap().result().await.unwrap(), 3, "the runner lives");
}

async fn retries_wait_for_their_back_off_and_are_in_the_history(place: Place) {
    let app = app(place).await;
    let invocation = app.submit(fails_twice()).await.unwrap();
    app.reaches(&invocation, Status::Retry).await;
    assert_eq!(invocation.result().await.unwrap(), 3);
    assert!(time_in(&invocation, Status::Retry).await >= millis(300), "never early");
    let history = invocation.history().await.unwrap();
    let errors: Vec<_> =
        history.iter().filter(|entry| entry.status == Status::Retry).map(|entry| entry.detail.as_deref()).collect();
    assert_eq!(errors, [Some("String: attempt 1"), Some("String: attempt 2")]);
}

async fn after_its_last_retry_a_task_has_failed(place: Place) {
    let app = app(place).await;
    let error = error_of(&app, never_works()).await;
    assert_eq!(error.attempt, 2);
    assert_eq!(error_of(&app, never_works().max_retries(3)).await.attempt, 4, "the call is heard before the task");
}

async fn a_body_may_say_when_to_run_it_again(place: Place) {
    let app = app(place).await;
    let invocation = app.submit(asks_for_patience()).await.unwrap();
    invocation.result().await.unwrap();
    assert!(time_in(&invocation, Status::Retry).await >= millis(300), "never early");
}

async fn a_time_limit_ends_a_body_and_counts_as_an_attempt(place: Place) {
    let app = app(place).await;
    let hung = app.submit(hangs()).await.unwrap();
    let Err(PynencError::TaskFailed(error)) = hung.result().await else { panic!("it has no time left") };
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Timeout", "ran longer than 300ms"));
    assert_eq!(hung.history().await.unwrap().last().unwrap().reason, Reason::TimedOut);
    assert!(time_in(&hung, Status::Running).await >= millis(300), "never early");
    assert_eq!(app.submit(hangs_once()).await.unwrap().result().await.unwrap(), 2);
    let call = hangs().timeout(millis(100));
    assert_eq!(error_of(&app, call).await.message, "ran longer than 100ms", "the call is heard before the task");
}

async fn a_waiting_caller_has_a_time_limit_of_its_own(place: Place) {
    let app = app(place).await;
    let hung = app.submit(hangs().timeout(hours(1))).await.unwrap();
    assert!(matches!(hung.result_timeout(millis(200)).await, Err(PynencError::Timeout(_))));
    assert_eq!(hung.status().await.unwrap(), Status::Running);
}
