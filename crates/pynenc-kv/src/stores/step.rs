//! Steps with a typed output.

use std::cell::RefCell;
use std::sync::Arc;

use pynenc_core::{Clock, Error, ErrorKind, Result, Timestamp};
use tokio::sync::oneshot;

use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::key_value::{Durability, KeyValue, Step};
use crate::stores::process::Process;
use crate::stores::transaction::Transaction;

/// The parts of a store that a step needs.
pub(crate) struct Context {
    pub(crate) data: Arc<dyn KeyValue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) process: Arc<Process>,
}

/// A step whose output goes to a function, after those who wait for its effects were notified.
pub(crate) struct TypedStep<R, F, D> {
    context: Context,
    durability: Durability,
    items: usize,
    run: F,
    output: Option<(R, Committed)>,
    reply: D,
}

impl<R, F, D> TypedStep<R, F, D>
where
    F: FnMut(Bytes<'_>, Timestamp, &mut Committed) -> Result<R>,
    D: FnOnce(Result<R>),
{
    pub(crate) fn new(context: Context, durability: Durability, items: usize, run: F, reply: D) -> Self {
        Self { context, durability, items, run, output: None, reply }
    }
}

impl<R, F, D> Step for TypedStep<R, F, D>
where
    R: Send,
    F: FnMut(Bytes<'_>, Timestamp, &mut Committed) -> Result<R> + Send,
    D: FnOnce(Result<R>) + Send,
{
    fn run(&mut self, transaction: &mut dyn Transaction) -> Result<()> {
        self.output = None;
        let mut committed = Committed::default();
        // The time is read in the transaction, so that the order of the steps is the order of their times.
        let now = self.context.clock.now();
        let transaction: RefCell<&mut dyn Transaction> = RefCell::new(&mut *transaction);
        let output = (self.run)(Bytes::new(&transaction), now, &mut committed)?;
        self.output = Some((output, committed));
        Ok(())
    }

    fn finished(self: Box<Self>, result: Result<()>) {
        let Self { context, output, reply, .. } = *self;
        match (result, output) {
            (Ok(()), Some((output, committed))) => {
                context.process.notify(&committed);
                committed.notify(&*context.data);
                // A caller that has its reply may drop the store, and expects that no step keeps it open.
                drop(context);
                reply(Ok(output));
            }
            (Ok(()), None) => reply(Err(Error::new(ErrorKind::Unexpected, "a step was finished before it was run"))),
            (Err(error), _) => {
                drop(context);
                reply(Err(error));
            }
        }
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn items(&self) -> usize {
        self.items
    }
}

/// A channel for the output of a step, and the function that sends it.
pub(crate) fn output<R>() -> (impl FnOnce(Result<R>), Output<R>) {
    let (sender, receiver) = oneshot::channel();
    // A caller that is gone needs no output.
    (move |output| drop(sender.send(output)), Output(receiver))
}

/// The output of a step that is performed elsewhere.
pub(crate) struct Output<R>(oneshot::Receiver<Result<R>>);

impl<R> Output<R> {
    /// Waits until the step is finished.
    pub(crate) async fn get(self) -> Result<R> {
        let closed = || Error::new(ErrorKind::Unavailable, "the store was closed before the step was performed");
        self.0.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Separates the error of a value that can't be read: the other items of the step go on.
pub(crate) fn unless_corrupt<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
        read => Ok(read),
    }
}
