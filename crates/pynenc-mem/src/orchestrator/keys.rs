//! Registration control and idempotency: which calls are one and the same.

use pynenc_core::record::{IdempotencyKey, RegistrationKey};
use pynenc_core::{Digest, InvocationId, TaskId};
use rustc_hash::FxHashMap;

/// The keys that stand for an invocation.
#[derive(Debug, Default)]
pub(super) struct Keys {
    waiting: FxHashMap<Digest, Holder>,
    named: FxHashMap<(TaskId, Box<str>), Named>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    id: InvocationId,
    arguments: Digest,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// The invocation.
    pub(super) id: InvocationId,
    /// The arguments that the key was first used with.
    pub(super) arguments: Digest,
    /// Whether the invocation has these very arguments: not so when it stood for the call by its registration key.
    pub(super) same_arguments: bool,
}

impl Keys {
    /// The invocation that waits with this registration key, and whether its arguments are the same.
    pub(super) fn waiting(&self, key: &RegistrationKey) -> Option<(InvocationId, bool)> {
        self.waiting.get(&key.key).map(|holder| (holder.id, holder.arguments == key.arguments))
    }

    /// Takes the key for one that waits, if it is free, and frees it for one that doesn't.
    pub(super) fn follow(&mut self, id: InvocationId, key: &RegistrationKey, waits: bool) {
        if waits {
            self.waiting.entry(key.key).or_insert(Holder { id, arguments: key.arguments });
        } else if self.waiting.get(&key.key).is_some_and(|holder| holder.id == id) {
            self.waiting.remove(&key.key);
        }
    }

    pub(super) fn named(&self, task: &TaskId, key: &IdempotencyKey) -> Option<Named> {
        self.named.get(&(task.clone(), key.key.clone())).copied()
    }

    pub(super) fn name(&mut self, task: &TaskId, key: &IdempotencyKey, id: InvocationId, same_arguments: bool) {
        let named = Named { id, arguments: key.arguments, same_arguments };
        self.named.insert((task.clone(), key.key.clone()), named);
    }

    pub(super) fn forget(&mut self, name: &(TaskId, Box<str>)) {
        self.named.remove(name);
    }
}
