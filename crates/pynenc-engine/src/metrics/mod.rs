//! Metrics: the list of all measurements, and their recording.
//!
//! The engine records through the crate `metrics`, into the [`MetricsRecorder`] of the app. Without one, nothing is
//! recorded: each place only checks an `Option`.
//!
//! | file | holds |
//! |---|---|
//! | `list.rs` | every metric with its name, kind, unit, labels and help |
//! | `recorder.rs` | the recorder of an app |
//! | `handles.rs` | the handles of the metrics of each task and operation |
//! | `measured_lane.rs` | a lane that measures the round trips of another one |

mod handles;
pub mod list;
mod measured_lane;
mod recorder;

pub use handles::Metrics;
pub(crate) use handles::RunTimer;
pub use list::{Kind, Metric};
pub(crate) use measured_lane::MeasuredLane;
pub use recorder::MetricsRecorder;
