//! The crates that features switch on: one feature, one crate, one entry of one table.

use std::sync::Arc;

use pynenc_core::Components;
use pynenc_core::arg_cache::DisabledArgCache;
use pynenc_core::config::Config;
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_engine::{Extension, ProcessRunner, Result, RunnerComponents, ThreadRunner};

#[cfg(feature = "triggers")]
#[path = "triggers.rs"]
mod triggers;
#[cfg(feature = "workflow")]
#[path = "workflow.rs"]
mod workflow;

macro_rules! features {
    (
        extensions { $($extending:literal: $part:ident in $module:ident as section $own:literal of $own_type:ident;)+ }
        $($feature:literal: $krate:ident $(as section $section:literal of $section_type:ident)?, brings [$($component:literal),* $(,)?];)+) => {
        $(#[cfg(feature = $extending)] pub use $part;)+
        $(#[cfg(feature = $feature)] pub use $krate;)+

        /// What there is to say of the sections that only a feature that is off would read.
        pub(crate) const ABSENT_SECTIONS: &[(&str, &str)] = &[
            $(#[cfg(not(feature = $extending))] ($own, concat!("turn on the feature `", $extending, "`")),)+
            $($(#[cfg(not(feature = $feature))] ($section, concat!("turn on the feature `", $feature, "`")),)?)+
        ];

        /// Reads the sections of the features that are on, without making anything of them.
        pub(crate) fn read_sections(config: &Config) -> Result<()> {
            $(#[cfg(feature = $extending)] config.section::<$part::$own_type>()?;)+
            $($(#[cfg(feature = $feature)] config.section::<$krate::$section_type>()?;)?)+
            let _ = config;
            Ok(())
        }

        /// What features plug into the engine, made of what was left for them.
        #[allow(unused_variables, unused_mut, clippy::vec_init_then_push, reason = "every feature may be off")]
        pub(crate) fn extensions(
            config: &Config,
            tasks: &TaskRegistry,
            left: &mut Attachments,
        ) -> Result<Vec<Arc<dyn Extension>>> {
            let mut extensions: Vec<Arc<dyn Extension>> = Vec::new();
            $(#[cfg(feature = $extending)] extensions.push(Arc::new($module::extension(config, tasks, left)?));)+
            Ok(extensions)
        }

        fn register_features(components: &mut Components) {
            $(
                #[cfg(feature = $feature)]
                pynenc_core::Plugin::register(&$krate::plugin(), components);
                #[cfg(not(feature = $feature))]
                for component in [$($component),*] {
                    components.absent(component, concat!("turn on the feature `", $feature, "`"));
                }
            )+
        }
    };
}

features! {
    extensions {
        "triggers": pynenc_triggers in triggers as section "triggers" of TriggersConfig;
        "workflow": pynenc_workflow in workflow as section "workflow" of WorkflowConfig;
    }
    "mem": pynenc_mem, brings [
        "pynenc_mem::MemBroker",
        "pynenc_mem::MemOrchestrator",
        "pynenc_mem::MemStateBackend",
        "pynenc_mem::MemTriggerStore",
        "pynenc_mem::MemArgCache",
    ];
    "redis": pynenc_redis as section "redis" of RedisConfig, brings [
        "pynenc_redis::RedisBroker",
        "pynenc_redis::RedisOrchestrator",
        "pynenc_redis::RedisStateBackend",
        "pynenc_redis::RedisTriggerStore",
        "pynenc_redis::RedisArgCache",
    ];
}

/// Registers what every app has, and what the features bring.
pub(crate) fn register(components: &mut Components) {
    components.serializer("pynenc_core::JsonSerializer", |_| async { Ok(JsonSerializer) });
    components.serializer("pynenc_core::MsgPackSerializer", |_| async { Ok(MsgPackSerializer) });
    components.arg_cache("pynenc_core::DisabledArgCache", |_| async { Ok(DisabledArgCache) });
    components.runner("pynenc_engine::ThreadRunner", |_| async { Ok(ThreadRunner::new()) });
    components.runner("pynenc_engine::ProcessRunner", |_| async { Ok(ProcessRunner::new()) });
    components
        .absent("PickleSerializer", "pickle is Python's own; use JsonSerializer, or MsgPackSerializer for binary data");
    register_features(components);
}
