//! Readings of the app that requests share, so that many viewers cost no more than one.

mod activity;
mod overview;

use std::sync::Arc;
use std::time::Duration;

use pynenc_engine::{AppGauges, AppState, Engine, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use activity::{Activity, Minute};
pub(crate) use overview::{Alert, Overview, Queue};

use activity::ActivityLog;

/// How long a reading of the app's state serves further requests.
const FRESH: Duration = Duration::from_secs(1);
/// The number of queues whose ready and delayed invocations are counted: those with the most waiting ones.
const MAX_QUEUES: usize = 50;

/// Readings of the app that requests share. Nothing is read while nobody looks.
#[derive(Debug)]
pub(crate) struct Readings {
    state: Mutex<StateReader>,
    overview: Mutex<Option<(Instant, Arc<Overview>)>>,
    activity: Arc<ActivityLog>,
}

#[derive(Debug)]
struct StateReader {
    gauges: AppGauges,
    last: Option<(Instant, Arc<AppState>)>,
}

impl Default for Readings {
    fn default() -> Self {
        let gauges = AppGauges::with_max_queues(MAX_QUEUES);
        Self {
            state: Mutex::new(StateReader { gauges, last: None }),
            overview: Mutex::default(),
            activity: Arc::default(),
        }
    }
}

impl Readings {
    /// The state of the app, at most a second old.
    pub(crate) async fn state(&self, app: &Engine) -> Result<Arc<AppState>> {
        let mut reader = self.state.lock().await;
        if let Some((at, state)) = &reader.last
            && at.elapsed() < FRESH
        {
            return Ok(state.clone());
        }
        let state = Arc::new(reader.gauges.state(app).await?);
        reader.last = Some((Instant::now(), state.clone()));
        Ok(state)
    }

    /// The overview of the app, at most a second old.
    pub(crate) async fn overview(&self, app: &Engine) -> Result<Arc<Overview>> {
        let mut last = self.overview.lock().await;
        if let Some((at, overview)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(overview.clone());
        }
        let reading = self.state(app).await?;
        let activity = self.activity.read(app).await?;
        let overview = Arc::new(overview::overview(app, &reading, activity).await?);
        *last = Some((Instant::now(), overview.clone()));
        Ok(overview)
    }
}
