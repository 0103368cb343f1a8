//! Notifications about new events and changed definitions.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::trigger_store::{Notification, NotificationCounts};
use tokio::sync::watch;

/// The subscribers, with the counts that they compare theirs with.
#[derive(Debug, Default)]
pub struct Subscribers(watch::Sender<NotificationCounts>);

impl Subscribers {
    /// Adds a subscriber, which gets the notifications from now on.
    pub fn subscribe(&self) -> BoxStream<'static, Notification> {
        let receiver = self.0.subscribe();
        let read = *receiver.borrow();
        stream::unfold((receiver, read), async |(mut receiver, mut read)| {
            loop {
                let counts = *receiver.borrow_and_update();
                if let Some(notification) = read.next(counts) {
                    return Some((notification, (receiver, read)));
                }
                receiver.changed().await.ok()?;
            }
        })
        .boxed()
    }

    /// Notifies every subscriber.
    pub fn notify(&self, notification: Notification) {
        self.0.send_modify(|counts| counts.add(notification));
    }
}
