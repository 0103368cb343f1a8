//! Registration keys and idempotency keys, by which several calls share one invocation.

use pynenc_core::packed::packed_struct;
use pynenc_core::record::{IdempotencyKey, RegistrationKey};
use pynenc_core::{Digest, InvocationId, Result, TaskId};

use crate::storage::{Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The holders of registration keys, and the invocations of idempotency keys.
    pub(super) struct Keys {
        holders: S::Map<Digest, Holder> = map(Table::RegistrationKey),
        idempotent: S::Map<(TaskId, Box<str>), IdempotentCall> = map(Table::IdempotencyKey),
    }
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    id: InvocationId,
    arguments: Digest,
}

packed_struct!(Holder { id, arguments });

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

packed_struct!(IdempotentCall { id, arguments, same_arguments });

impl<S: Storage> Keys<S> {
    /// The waiting invocation with this registration key, and whether its arguments are the same.
    pub(super) fn holder(&self, key: &RegistrationKey) -> Result<Option<(InvocationId, bool)>> {
        let holder = self.holders.get(&key.key)?;
        Ok(holder.map(|holder| (holder.id, holder.arguments == key.arguments)))
    }

    /// Gives a free registration key to an invocation that may hold it, and frees the key of one that may not.
    pub(super) fn update(&mut self, id: InvocationId, key: &RegistrationKey, may_hold: bool) -> Result<()> {
        let holder = self.holders.get(&key.key)?.map(|holder| holder.id);
        if may_hold && holder.is_none() {
            self.holders.insert(key.key, Holder { id, arguments: key.arguments })?;
        } else if !may_hold && holder == Some(id) {
            self.holders.remove(&key.key)?;
        }
        Ok(())
    }

    pub(super) fn idempotent(&self, task: &TaskId, key: &IdempotencyKey) -> Result<Option<IdempotentCall>> {
        Ok(self.idempotent.get(&(task.clone(), key.key.clone()))?.copied())
    }

    pub(super) fn add_idempotent(
        &mut self,
        task: &TaskId,
        key: &IdempotencyKey,
        id: InvocationId,
        same_arguments: bool,
    ) -> Result<()> {
        let call = IdempotentCall { id, arguments: key.arguments, same_arguments };
        self.idempotent.insert((task.clone(), key.key.clone()), call)
    }

    pub(super) fn forget(&mut self, key: &(TaskId, Box<str>)) -> Result<()> {
        self.idempotent.remove(key)?;
        Ok(())
    }
}
