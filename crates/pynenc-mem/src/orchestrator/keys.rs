//! Registration keys and idempotency keys, by which several calls share one invocation.

use pynenc_core::record::{IdempotencyKey, RegistrationKey};
use pynenc_core::{Digest, InvocationId, TaskId};
use rustc_hash::FxHashMap;

/// The holders of registration keys, and the invocations of idempotency keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    holders: FxHashMap<Digest, Holder>,
    idempotent: FxHashMap<(TaskId, Box<str>), IdempotentCall>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    id: InvocationId,
    arguments: Digest,
}

/// The invocation of an idempotency key.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdempotentCall {
    /// The invocation.
    pub(super) id: InvocationId,
    /// The arguments of the first call with the key.
    pub(super) arguments: Digest,
    /// Whether the invocation has the same arguments. Another invocation with the registration key may have others.
    pub(super) same_arguments: bool,
}

impl Keys {
    /// The waiting invocation with this registration key, and whether its arguments are the same.
    pub(super) fn holder(&self, key: &RegistrationKey) -> Option<(InvocationId, bool)> {
        self.holders.get(&key.key).map(|holder| (holder.id, holder.arguments == key.arguments))
    }

    /// Gives a free registration key to an invocation that may hold it, and frees the key of one that may not.
    pub(super) fn update(&mut self, id: InvocationId, key: &RegistrationKey, may_hold: bool) {
        if may_hold {
            self.holders.entry(key.key).or_insert(Holder { id, arguments: key.arguments });
        } else if self.holders.get(&key.key).is_some_and(|holder| holder.id == id) {
            self.holders.remove(&key.key);
        }
    }

    pub(super) fn idempotent(&self, task: &TaskId, key: &IdempotencyKey) -> Option<IdempotentCall> {
        self.idempotent.get(&(task.clone(), key.key.clone())).copied()
    }

    pub(super) fn add_idempotent(
        &mut self,
        task: &TaskId,
        key: &IdempotencyKey,
        id: InvocationId,
        same_arguments: bool,
    ) {
        let call = IdempotentCall { id, arguments: key.arguments, same_arguments };
        self.idempotent.insert((task.clone(), key.key.clone()), call);
    }

    pub(super) fn forget(&mut self, key: &(TaskId, Box<str>)) {
        self.idempotent.remove(key);
    }
}
