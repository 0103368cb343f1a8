//! Bodies on threads, where there are fewer threads than bodies.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use pynenc::prelude::*;

/// Each body that begins is told of, and ends when it is told to.
struct Gate {
    begun: Mutex<Sender<u64>>,
    go_on: Mutex<Receiver<()>>,
}

#[task(timeout = "400ms")]
fn passes(n: u64, #[inject] gate: State<Gate>) -> Result<u64> {
    gate.begun.lock().unwrap().send(n).map_err(Error::other)?;
    gate.go_on.lock().unwrap().recv().map_err(Error::other)?;
    Ok(n)
}

async fn reaches<T: Task>(invocation: &Invocation<T>, status: Status) {
    while invocation.status().await.unwrap() != status {
        tokio::time::sleep(millis(2)).await;
    }
}

/// Runs a scene on a runtime with one thread for plain bodies.
fn on_one_thread(scene: impl AsyncFnOnce(Pynenc, Receiver<u64>, Sender<()>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let ((begun, told), (let_go, go_on)) = (channel(), channel());
        let gate = Gate { begun: Mutex::new(begun), go_on: Mutex::new(go_on) };
        let builder = Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks();
        let app = builder.tasks(tasks![passes]).state(gate).build().await.unwrap();
        let runner = app.start_runner().await.unwrap();
        scene(app, told, let_go).await;
        runner.shutdown().await.unwrap();
    });
}

#[test]
fn the_time_limit_of_a_plain_body_begins_when_it_has_a_thread() {
    on_one_thread(async |app, begun, let_go| {
        let first = app.submit(passes(1).timeout(hours(1))).await.unwrap();
        assert_eq!(begun.recv(), Ok(1));
        let second = app.submit(passes(2)).await.unwrap();
        reaches(&second, Status::Running).await;
        // For longer than its own limit there is no thread for it.
        tokio::time::sleep(millis(600)).await;
        let_go.send(()).unwrap();
        assert_eq!(begun.recv(), Ok(2));
        let_go.send(()).unwrap();
        assert_eq!((first.result().await.unwrap(), second.result().await.unwrap()), (1, 2));
    });
}

#[test]
fn what_waits_for_a_thread_is_pending_where_threads_are_scarce_and_may_be_cancelled() {
    on_one_thread(async |app, begun, let_go| {
        let calls = app.submit_all((0..9).map(|n| passes(n).timeout(hours(1)))).await.unwrap();
        assert!(begun.recv().is_ok());
        for invocation in calls.invocations() {
            reaches(invocation, Status::Running).await;
        }
        let waiting = app.submit(passes(100)).await.unwrap();
        let unwanted = app.submit(passes(101)).await.unwrap();
        reaches(&waiting, Status::Pending).await;
        reaches(&unwanted, Status::Pending).await;
        unwanted.cancel().await.unwrap();
        assert!(matches!(unwanted.result().await, Err(Error::Cancelled(_))), "it needs no thread for that");
        for _ in 0..10 {
            let_go.send(()).unwrap();
        }
        assert_eq!(waiting.result().await.unwrap(), 100);
        calls.results().await.unwrap();
        assert!(begun.try_iter().all(|n| n != 101), "it never began");
    });
}
