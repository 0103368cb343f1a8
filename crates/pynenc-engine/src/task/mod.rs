//! Tasks: their definitions, arguments, return values and requirements, and the registry of an app.

mod arguments;
mod definition;
mod error_kind;
mod registry;
mod requirements;
mod task_return;

pub(crate) use arguments::NamedValue;
pub use arguments::{ArgumentIdentity, ArgumentSink, ArgumentSource, Arguments, EncodedArgument};
pub use definition::{
    AsyncFunction, Attachments, BlockingFunction, LinkedTask, Task, TaskDefinition, TaskFunction, check_arguments,
};
pub use error_kind::{KindByType, KindByVariant, KindOf, VariantName};
pub use registry::{RegisteredTask, TaskRegistry};
pub(crate) use requirements::missing_state;
pub use requirements::{Requirements, States};
pub use task_return::{Failure, Finished, Infallible, RetryRequest, ReturnType, TaskReturn, finish};
