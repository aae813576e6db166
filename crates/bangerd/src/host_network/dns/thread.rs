//! The thread on which names are served.

use std::io;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A thread with a runtime of its own; dropped, it ends, and with it every task on it.
///
/// A guest that floods us with queries takes the time of this thread and of no worker of the daemon.
/// Among its workers the one busy task would also move from one to the other, which made the slowest
/// answers slower where it was tried.
#[derive(Debug)]
pub(super) struct ServingThread {
    runtime: Handle,
    _until_dropped: DropGuard,
}

impl ServingThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread or no descriptors for it.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, ended) = (runtime.handle().clone(), CancellationToken::new());
        let told = ended.clone();
        let serve = move || runtime.block_on(told.cancelled());
        std::thread::Builder::new()
            .name("names".into())
            .spawn(serve)?;
        Ok(Self {
            runtime: handle,
            _until_dropped: ended.drop_guard(),
        })
    }

    /// To spawn on it.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
