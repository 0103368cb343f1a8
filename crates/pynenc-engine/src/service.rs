//! The loop of a background service: an extension's work beside a runner's invocations.
//!
//! A service such as the evaluation of triggers does its work in batches, and then waits until there is more. The loop
//! wakes it up for a signal, for a notification of the trigger store, and for its next deadline. While a store is
//! unreachable, the loop tries again with a back-off.

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::Timestamp;
use pynenc_core::trigger_store::Notification;

use crate::backoff::store_backoff;
use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

/// The work of a background service.
///
/// The service keeps flags and deadlines of the work that is due. Signals and notifications set flags; [`work`] clears
/// them.
///
/// [`work`]: Service::work
#[async_trait]
pub trait Service: Send {
    /// Returns the name of the service's subject for log messages: "triggers".
    fn subject(&self) -> &'static str;

    /// Marks all work as due. The loop calls this after each connection to the trigger store, because earlier
    /// notifications were lost.
    fn mark_all_due(&mut self);

    /// Marks the work that a notification calls for.
    fn notified(&mut self, notification: Notification);

    /// Waits for a signal of this process, and marks the work that the signal calls for. It has to be cancel safe.
    async fn signaled(&mut self);

    /// Does the work that is due, at most one batch of each kind. Work that fails stays due.
    async fn work(&mut self, engine: &Engine) -> Result<NextWork>;
}

/// The time of a service's next work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextWork {
    /// Another batch is waiting.
    Now,
    /// The next work is due at this time of the process's clock, or after a signal or a notification.
    At(Timestamp),
}

/// Runs a service until its runner drains.
///
/// An error of the work is logged once per outage. The loop then tries again after a [`store_backoff`].
pub async fn run(mut service: impl Service, engine: &Engine, mut stop: Stop) {
    let mut notifications = None;
    let mut failures = 0;
    while !stop.is_draining() {
        let until = match work(&mut service, engine, &mut notifications).await {
            Ok(NextWork::Now) => {
                tokio::task::yield_now().await;
                continue;
            }
            Ok(NextWork::At(next)) => {
                failures = 0;
                next
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "can't process {}; trying again until it succeeds", service.subject());
                }
                let pause = store_backoff(failures);
                failures += 1;
                engine.parts().clock.now() + pause
            }
        };
        tokio::select! {
            biased;
            () = stop.draining() => return,
            () = service.signaled() => {}
            notification = next(&mut notifications) => match notification {
                Some(notification) => service.notified(notification),
                None => notifications = None,
            },
            () = engine.parts().clock.sleep_until(until) => {}
        }
    }
}

type Notifications = Option<BoxStream<'static, Notification>>;

/// Subscribes to notifications if the subscription is missing, and does the work that is due.
async fn work(service: &mut impl Service, engine: &Engine, notifications: &mut Notifications) -> Result<NextWork> {
    if notifications.is_none() {
        *notifications = Some(engine.parts().triggers.notifications().await?);
        service.mark_all_due();
    }
    service.work(engine).await
}

/// Waits for the next notification; `None` if the subscription has ended.
async fn next(notifications: &mut Notifications) -> Option<Notification> {
    match notifications {
        Some(notifications) => notifications.next().await,
        None => std::future::pending().await,
    }
}
