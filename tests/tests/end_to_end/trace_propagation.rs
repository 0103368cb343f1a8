//! Tests of trace propagation, from the submitter to the task and its children.

use std::sync::{Arc, Mutex};

use pynenc::core::record::TraceContext;
use pynenc::engine::TracePropagation;
use pynenc::prelude::*;

use crate::backend::{Backend, on_each_backend};

const CHOSEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SUPPLIED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[task]
async fn returns_trace(#[inject] context: TaskContext) -> Option<String> {
    context.trace().map(|trace| trace.traceparent.to_string())
}

#[task]
async fn asks_a_child() -> Result<Option<String>> {
    returns_trace().await
}

async fn an_explicit_trace_reaches_the_task_and_its_children(backend: Backend) {
    let app = backend.app(|builder| builder.without_linked_tasks().tasks(tasks![returns_trace, asks_a_child])).await;
    let trace = app.submit(returns_trace().traceparent(CHOSEN)).await.unwrap().result().await.unwrap();
    assert_eq!(trace.as_deref(), Some(CHOSEN));
    let of_child = app.submit(asks_a_child().traceparent(CHOSEN)).await.unwrap().result().await.unwrap();
    assert_eq!(of_child.as_deref(), Some(CHOSEN));
    assert_eq!(app.submit(returns_trace()).await.unwrap().result().await.unwrap(), None, "no trace is set");
    let wrong = app.submit(returns_trace().traceparent("4bf92f")).await.unwrap_err();
    assert!(matches!(&wrong, Error::Invalid(error) if error.to_string().contains("traceparent")), "{wrong}");
}

/// A program with a current trace. It records the traces that attempts are attached to.
#[derive(Debug, Clone, Default)]
struct Traced(Arc<Mutex<Vec<String>>>);

impl TracePropagation for Traced {
    fn current(&self) -> Option<TraceContext> {
        Some(TraceContext { traceparent: SUPPLIED.into(), tracestate: Some("vendor=1".into()) })
    }

    fn attach(&self, _span: &tracing::Span, context: &TraceContext) {
        self.0.lock().unwrap().push(context.traceparent.to_string());
    }
}

async fn the_programs_current_trace_is_propagated(backend: Backend) {
    let traced = Traced::default();
    let app = backend
        .app(|builder| builder.without_linked_tasks().tasks(tasks![returns_trace]).trace_propagation(traced.clone()));
    let app = app.await;
    let invocation = app.submit(returns_trace()).await.unwrap();
    assert_eq!(invocation.result().await.unwrap().as_deref(), Some(SUPPLIED));
    assert_eq!(*traced.0.lock().unwrap(), [SUPPLIED]);
    let record = app.parts().state.invocations(&[invocation.id()]).await.unwrap().remove(0).unwrap();
    assert_eq!(record.trace.as_ref().and_then(|trace| trace.tracestate.as_deref()), Some("vendor=1"));
    let chosen = app.submit(returns_trace().traceparent(CHOSEN)).await.unwrap().result().await.unwrap();
    assert_eq!(chosen.as_deref(), Some(CHOSEN), "the call's trace overrides the program's");
}

on_each_backend!(an_explicit_trace_reaches_the_task_and_its_children, the_programs_current_trace_is_propagated);
