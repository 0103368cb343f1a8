//! Those who are told of news.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::trigger_store::News;
use tokio::sync::watch;

/// How often there was news of each kind: who follows is told once of all that it hasn't read.
#[derive(Debug, Default)]
pub(super) struct Followers(watch::Sender<Count>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    events: u64,
    definitions: u64,
}

impl Followers {
    pub(super) fn follow(&self) -> BoxStream<'static, News> {
        let receiver = self.0.subscribe();
        let read = *receiver.borrow();
        stream::unfold((receiver, read), async |(mut receiver, mut read)| {
            loop {
                let count = *receiver.borrow_and_update();
                if let Some(news) = read.catch_up(count) {
                    return Some((news, (receiver, read)));
                }
                receiver.changed().await.ok()?;
            }
        })
        .boxed()
    }

    pub(super) fn tell(&self, news: News) {
        self.0.send_modify(|count| match news {
            News::Events => count.events += 1,
            News::Definitions => count.definitions += 1,
        });
    }
}

impl Count {
    /// Takes note of one kind of news that came meanwhile.
    fn catch_up(&mut self, now: Self) -> Option<News> {
        if self.events != now.events {
            self.events = now.events;
            Some(News::Events)
        } else if self.definitions != now.definitions {
            self.definitions = now.definitions;
            Some(News::Definitions)
        } else {
            None
        }
    }
}
