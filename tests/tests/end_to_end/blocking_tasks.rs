//! Tests of blocking tasks with fewer threads than tasks.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use pynenc::prelude::*;

/// Reports each start, and lets a task return when the test sends to it.
struct Gate {
    started: Mutex<Sender<u64>>,
    released: Mutex<Receiver<()>>,
}

#[task(timeout = "400ms")]
fn passes(n: u64, #[inject] gate: State<Gate>) -> Result<u64> {
    gate.started.lock().unwrap().send(n).map_err(Error::other)?;
    gate.released.lock().unwrap().recv().map_err(Error::other)?;
    Ok(n)
}

async fn reaches<T: Task>(invocation: &Invocation<T>, status: Status) {
    while invocation.status().await.unwrap() != status {
        tokio::time::sleep(millis(2)).await;
    }
}

/// The status of an invocation when a runner has claimed it: running, or pending if it waits for a thread.
async fn claimed_as<T: Task>(invocation: &Invocation<T>) -> Status {
    loop {
        match invocation.status().await.unwrap() {
            Status::Registered => tokio::time::sleep(millis(2)).await,
            claimed => return claimed,
        }
    }
}

/// Runs a test on a runtime with one thread for blocking tasks.
fn on_one_thread(test: impl AsyncFnOnce(Pynenc, Receiver<u64>, Sender<()>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let ((started, starts), (let_go, released)) = (channel(), channel());
        let gate = Gate { started: Mutex::new(started), released: Mutex::new(released) };
        let builder = Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks();
        let app = builder.tasks(tasks![passes]).state(gate).build().await.unwrap();
        let runner = app.start_runner().await.unwrap();
        test(app, starts, let_go).await;
        runner.shutdown().await.unwrap();
    });
}

#[test]
fn a_blocking_tasks_timeout_starts_when_it_gets_a_thread() {
    on_one_thread(async |app, starts, let_go| {
        let first = app.submit(passes(1).timeout(hours(1))).await.unwrap();
        assert_eq!(starts.recv(), Ok(1));
        let second = app.submit(passes(2)).await.unwrap();
        reaches(&second, Status::Running).await;
        // The second task has no thread for longer than its timeout.
        tokio::time::sleep(millis(600)).await;
        let_go.send(()).unwrap();
        assert_eq!(starts.recv(), Ok(2));
        let_go.send(()).unwrap();
        assert_eq!((first.result().await.unwrap(), second.result().await.unwrap()), (1, 2));
    });
}

#[test]
fn a_blocking_task_without_a_thread_is_pending_and_can_be_cancelled() {
    on_one_thread(async |app, starts, let_go| {
        // The runner claims invocations as running until enough of those that it holds wait for a thread. The test
        // can't see how many wait already, so it submits until one invocation stays pending.
        let mut running = Vec::new();
        let waiting = loop {
            let submitted = app.submit(passes(running.len() as u64).timeout(hours(1))).await.unwrap();
            if claimed_as(&submitted).await == Status::Pending {
                break submitted;
            }
            running.push(submitted);
        };
        let unwanted = app.submit(passes(1_000).timeout(hours(1))).await.unwrap();
        assert_eq!(claimed_as(&unwanted).await, Status::Pending);
        unwanted.cancel().await.unwrap();
        assert!(matches!(unwanted.result().await, Err(Error::Cancelled(_))), "a cancel needs no thread");
        for _ in 0..=running.len() {
            let_go.send(()).unwrap();
        }
        assert_eq!(waiting.result().await.unwrap(), running.len() as u64);
        for (n, invocation) in (0..).zip(&running) {
            assert_eq!(invocation.result().await.unwrap(), n);
        }
        assert!(starts.try_iter().all(|n| n != 1_000), "the cancelled task never starts");
    });
}
