//! Notifications between the processes that use a file.
//!
//! For each topic that it has subscribed to, a process binds a datagram socket in a folder beside the file. A notice is
//! sent to every socket of its topic. So a process that waits uses no CPU, and nobody else is woken. Processes in
//! several containers find each other if they share the file.

#[cfg(unix)]
mod address;
#[cfg(unix)]
mod peers;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::Sockets;

/// No sockets: the processes look for each other's commits.
#[cfg(not(unix))]
pub(crate) struct Sockets;

#[cfg(not(unix))]
impl Sockets {
    pub(crate) fn new(_: &std::path::Path) -> Self {
        Self
    }

    pub(crate) fn subscribe(
        &self,
        _: crate::sql::AppKeys,
        _: pynenc_kv::Topic,
        _: &std::sync::Arc<std::sync::OnceLock<pynenc_kv::Listener>>,
    ) {
    }

    pub(crate) fn notify(&self, _: crate::sql::AppKeys, _: pynenc_kv::Topic, _: &[u8]) {}
}
