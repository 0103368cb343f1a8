//! Distributed task orchestration.

/// ```
/// use pynenc::prelude::*;
///
/// /// Adds two numbers.
/// #[task(max_retries = 3, timeout = "30s")]
/// async fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let call: Call<add> = add(1, 2).priority(7);
/// assert_eq!(call.arguments().x, 1);
/// assert!(add::NAME.ends_with("::add"));
/// ```
pub use pynenc_macros::task;

/// What a file of tasks needs.
pub mod prelude {
    pub use pynenc_engine::{Call, Error, Result, Retry, State, TaskContext};

    pub use crate::task;
}

/// What the expansion of [`task`] names.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use pynenc_core::Result as ComponentResult;
    pub use pynenc_core::task_options::{Backoff, Concurrency, Fence, TaskPatch};
    pub use pynenc_engine::arguments::{ArgumentSink, ArgumentSource, Arguments};
    pub use pynenc_engine::returns::{Failure, Infallible, KindByType, KindByVariant, KindOf, Ret, Returns, finish};
    pub use pynenc_engine::task::{Body, LinkedTask};
    pub use pynenc_engine::{Call, FromContext, Task, TaskDefinition};
}
