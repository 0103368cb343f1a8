//! Starts the spans of submits.

use pynenc_core::{QueueName, TaskId};

use super::call::{CallOptions, EncodedCall};
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::task::RegisteredTask;
use crate::trace_propagation::{SendSpan, Sending};

impl Engine {
    /// Whether submits may have spans.
    pub(super) fn makes_send_spans(&self) -> bool {
        self.settings().propagation.is_some()
    }

    /// Starts the span of a submit of one call, and puts its trace context into the call.
    pub(super) fn start_send(&self, task: &RegisteredTask, options: &mut CallOptions) -> SendSpan {
        let queue = options.queue.as_ref().unwrap_or(&task.queue);
        let span = self.start_span(Some(&task.id), Some(queue), None, options);
        span.carry(&mut options.trace);
        span
    }

    /// Starts the span of a submit of several calls of a task, and puts its trace context into each.
    pub(super) fn start_batch<'a>(
        &self,
        task: &RegisteredTask,
        calls: impl ExactSizeIterator<Item = &'a mut CallOptions>,
    ) -> SendSpan {
        let calls: Vec<_> = calls.collect();
        let queue = common(calls.iter().map(|options| options.queue.as_ref().unwrap_or(&task.queue)));
        let span = self.start_span(Some(&task.id), queue, Some(calls.len()), &CallOptions::default());
        calls.into_iter().for_each(|options| span.carry(&mut options.trace));
        span
    }

    /// Starts the span of a submit of encoded calls, and puts its trace context into each.
    pub(super) fn start_encoded<'a>(&self, calls: impl ExactSizeIterator<Item = &'a mut EncodedCall>) -> SendSpan {
        if !self.makes_send_spans() {
            return SendSpan::NONE;
        }
        let mut calls: Vec<_> = calls.collect();
        let queue_of = |call: &&mut EncodedCall| {
            let queue = call.options.queue.as_ref();
            queue.or_else(|| Some(&self.tasks().find(call.task.as_str())?.queue)).cloned()
        };
        let queue = calls
            .first()
            .and_then(queue_of)
            .filter(|queue| calls.iter().all(|it| queue_of(it).as_ref() == Some(queue)));
        let span = match &calls[..] {
            [call] => self.start_span(Some(&call.task), queue.as_ref(), None, &call.options),
            calls => {
                let task = common(calls.iter().map(|call| &call.task));
                self.start_span(task, queue.as_ref(), Some(calls.len()), &CallOptions::default())
            }
        };
        calls.iter_mut().for_each(|call| span.carry(&mut call.options.trace));
        span
    }

    fn start_span(
        &self,
        task: Option<&TaskId>,
        queue: Option<&QueueName>,
        batch: Option<usize>,
        options: &CallOptions,
    ) -> SendSpan {
        let Some(propagation) = &self.settings().propagation else { return SendSpan::NONE };
        let caller = TaskContext::current_of(self);
        let caller = caller.as_ref().and_then(TaskContext::trace);
        let app = &*self.settings().app_id;
        SendSpan::start(&**propagation, &Sending { app, task, queue, batch, chosen: options.trace.as_ref(), caller })
    }
}

/// The value that all items have.
fn common<'a, T: PartialEq>(mut items: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}
