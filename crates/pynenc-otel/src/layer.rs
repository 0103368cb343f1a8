//! A `tracing` layer: the spans that task functions make, as children of their attempt's span.

use std::borrow::Cow;
use std::sync::OnceLock;

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::environment;

/// The tracer of the first app. A layer is installed before the app is built, so it finds the tracer here.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The targets whose spans and events aren't exported: the engine, whose attempts have spans already, and the exporter,
/// whose spans would cause more exports.
const OWN_TARGETS: &[&str] = &["pynenc_engine", "pynenc_otel", "opentelemetry", "hyper", "reqwest", "h2", "tower"];

/// Returns a layer that exports the `tracing` spans and events of the program, at level `info` and above, if OpenTelemetry
/// is on. Inside of a task function, spans are children of the attempt's span. With several apps in one program, the first
/// one exports them.
///
/// `pynenc::logging::init` and the command line install this layer. Add it to a subscriber of your own.
pub fn layer<S>() -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let is_exported = |metadata: &Metadata<'_>| {
        let is_own = OWN_TARGETS.iter().any(|target| metadata.target().starts_with(target));
        *metadata.level() <= Level::INFO && !is_own
    };
    environment::is_any_on().then(|| {
        tracing_opentelemetry::layer().with_tracer(LateTracer::new()).with_filter(filter_fn(is_exported)).boxed()
    })
}

/// Lets the layers of this process export by a tracer, unless an earlier app does.
pub(crate) fn export_by(tracer: &SdkTracer) {
    TRACER.get_or_init(|| tracer.clone());
}

/// The tracer of the first app, once that is built. Spans from before aren't exported.
struct LateTracer {
    before: SdkTracer,
}

impl LateTracer {
    fn new() -> Self {
        Self { before: SdkTracerProvider::builder().build().tracer("pynenc") }
    }

    fn tracer(&self) -> &SdkTracer {
        TRACER.get().unwrap_or(&self.before)
    }
}

impl Tracer for LateTracer {
    type Span = Span;

    fn start_with_context<T: Into<Cow<'static, str>>>(&self, name: T, parent: &Context) -> Span {
        self.tracer().start_with_context(name, parent)
    }

    fn span_builder<T: Into<Cow<'static, str>>>(&self, name: T) -> SpanBuilder {
        self.tracer().span_builder(name)
    }

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        self.tracer().build_with_context(builder, parent)
    }
}
