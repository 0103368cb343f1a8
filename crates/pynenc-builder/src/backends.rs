//! The crates that features turn on. Each feature has one crate and one entry in the table of this module.

use std::sync::Arc;

use pynenc_core::Components;
use pynenc_core::config::Config;
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_engine::{Extension, ProcessRunner, Result, RunnerComponents, ThreadRunner};

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "triggers")]
pub(crate) mod triggers;
#[cfg(feature = "workflow")]
pub(crate) mod workflow;

/// Defines the re-exports, sections, extensions and components of all features.
macro_rules! features {
    (
        sections { $($exporting:literal: $exporter:ident as section $exported:literal of $exported_type:ident;)+ }
        extensions { $($extending:literal: $part:ident in $module:ident as section $own:literal of $own_type:ident;)+ }
        $($feature:literal: $krate:ident $(as section $section:literal of $section_type:ident)?, brings [$($component:literal),* $(,)?];)+) => {
        $(#[cfg(feature = $exporting)] pub use $exporter;)+
        $(#[cfg(feature = $extending)] pub use $part;)+
        $(#[cfg(feature = $feature)] pub use $krate;)+

        /// The sections of features that are off, each with the advice how to turn the feature on.
        pub(crate) const ABSENT_SECTIONS: &[(&str, &str)] = &[
            $(#[cfg(not(feature = $exporting))] ($exported, concat!("turn on the feature `", $exporting, "`")),)+
            $(#[cfg(not(feature = $extending))] ($own, concat!("turn on the feature `", $extending, "`")),)+
            $($(#[cfg(not(feature = $feature))] ($section, concat!("turn on the feature `", $feature, "`")),)?)+
        ];

        /// Reads the sections of the features that are on, to report invalid settings.
        pub(crate) fn read_sections(config: &Config) -> Result<()> {
            $(#[cfg(feature = $exporting)] config.section::<$exporter::$exported_type>()?;)+
            $(#[cfg(feature = $extending)] config.section::<$part::$own_type>()?;)+
            $($(#[cfg(feature = $feature)] config.section::<$krate::$section_type>()?;)?)+
            let _ = config;
            Ok(())
        }

        /// Creates the engine extensions of the features that are on.
        #[allow(unused_variables, unused_mut, clippy::vec_init_then_push, reason = "every feature may be off")]
        pub(crate) fn extensions(
            config: &Config,
            tasks: &TaskRegistry,
            attachments: &mut Attachments,
        ) -> Result<Vec<Arc<dyn Extension>>> {
            let mut extensions: Vec<Arc<dyn Extension>> = Vec::new();
            $(#[cfg(feature = $extending)] extensions.push(Arc::new($module::extension(config, tasks, attachments)?));)+
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
    sections {
        "otel": pynenc_otel as section "otel" of OtelConfig;
        "web": pynenc_web as section "web" of WebConfig;
    }
    extensions {
        "metrics": pynenc_metrics in metrics as section "metrics" of MetricsConfig;
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
    "sqlite": pynenc_sqlite as section "sqlite" of SqliteConfig, brings [
        "pynenc_sqlite::SqliteBroker",
        "pynenc_sqlite::SqliteOrchestrator",
        "pynenc_sqlite::SqliteStateBackend",
        "pynenc_sqlite::SqliteTriggerStore",
        "pynenc_sqlite::SqliteArgCache",
    ];
}

/// Registers the components of every app and of the features.
pub(crate) fn register(components: &mut Components) {
    components.serializer("pynenc_core::JsonSerializer", |_| async { Ok(JsonSerializer) });
    components.serializer("pynenc_core::MsgPackSerializer", |_| async { Ok(MsgPackSerializer) });
    components.runner("pynenc_engine::ThreadRunner", |_| async { Ok(ThreadRunner::new()) });
    components.runner("pynenc_engine::ProcessRunner", |_| async { Ok(ProcessRunner::new()) });
    components.absent(
        "PickleSerializer",
        "only Python can read pickle; use JsonSerializer, or MsgPackSerializer for binary data",
    );
    register_features(components);
}
