//! The harness of a trial: a fresh component and its time.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use pynenc_core::Timestamp;

use crate::time::Time;

/// A fresh component with the time that it uses.
pub struct Harness<C: ?Sized> {
    /// The component under test.
    pub component: Arc<C>,
    time: Arc<dyn Time>,
}

impl<C: ?Sized> Harness<C> {
    /// A harness for a component that no other trial uses.
    pub fn new(component: Arc<C>, time: Arc<dyn Time>) -> Self {
        Self { component, time }
    }

    /// The component's present time.
    pub async fn now(&self) -> Timestamp {
        self.time.now().await
    }

    /// Advances the component's time.
    pub async fn advance(&self, by: Duration) {
        self.time.advance(by).await;
    }

    /// Advances the time in small steps until `future` has finished.
    pub async fn until<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            let step = pin!(async {
                tokio::task::yield_now().await;
                self.advance(Duration::from_millis(10)).await;
            });
            if let Either::Left((output, _)) = select(&mut future, step).await {
                return output;
            }
        }
    }
}

impl<C: ?Sized> Clone for Harness<C> {
    fn clone(&self) -> Self {
        Self { component: self.component.clone(), time: self.time.clone() }
    }
}

impl<C: ?Sized> Deref for Harness<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.component
    }
}

impl<C: ?Sized + fmt::Debug> fmt::Debug for Harness<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("component", &&*self.component).field("time", &self.time).finish()
    }
}
