//! The values of gauges, which the SDK reads when it exports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{GaugeFn, Key};

/// The present values of gauges. Clones are cheap and mean the same values.
#[derive(Clone, Default)]
pub(crate) struct GaugeValues(Arc<Mutex<HashMap<Key, f64>>>);

impl GaugeValues {
    fn values(&self) -> MutexGuard<'_, HashMap<Key, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `observe` with each series of a gauge.
    pub(crate) fn observe(&self, name: &str, mut observe: impl FnMut(&Key, f64)) {
        for (key, value) in self.values().iter().filter(|(key, _)| key.name() == name) {
            observe(key, *value);
        }
    }

    /// Takes over the values of others, and forgets the series that they don't have.
    pub(crate) fn replace_by(&self, others: &Self) {
        let others = std::mem::take(&mut *others.values());
        *self.values() = others;
    }

    /// The handle of a series.
    pub(crate) fn series(&self, key: Key) -> impl GaugeFn + Send + Sync + use<> {
        GaugeSeries { values: self.clone(), key }
    }
}

struct GaugeSeries {
    values: GaugeValues,
    key: Key,
}

impl GaugeFn for GaugeSeries {
    fn increment(&self, value: f64) {
        *self.values.values().entry(self.key.clone()).or_default() += value;
    }

    fn decrement(&self, value: f64) {
        self.increment(-value);
    }

    fn set(&self, value: f64) {
        self.values.values().insert(self.key.clone(), value);
    }
}
