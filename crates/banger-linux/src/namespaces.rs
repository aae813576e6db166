//! Network namespaces (network_namespaces(7)): for tests that change the network, and for the check of
//! the host's firewall.

use crate::sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The calling thread's own; `/proc/self` is that of the process's first thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// Why a namespace cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Making one needs `CAP_SYS_ADMIN`.
    #[error("cannot make a network namespace: {0}")]
    Make(Errno),
    /// There is none at that path.
    #[error("cannot open the network namespace {path}: {source}")]
    Open {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: Errno,
    },
    /// Entering needs `CAP_SYS_ADMIN` there.
    #[error("cannot enter a network namespace: {0}")]
    Enter(Errno),
    /// No thread could be started.
    #[error("cannot start a thread for a network namespace: {0}")]
    Thread(String),
}

/// A network namespace. It lives as long as this value, a thread or a process in it does.
#[derive(Debug)]
pub struct NetworkNamespace(OwnedFd);

impl NetworkNamespace {
    /// The calling thread's.
    pub fn current() -> Result<Self, NamespaceError> {
        Self::open(Path::new(OWN))
    }

    /// That of a path: `/run/netns/NAME`, `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Self, NamespaceError> {
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        opened.map(Self).map_err(|source| NamespaceError::Open {
            path: path.to_owned(),
            source,
        })
    }

    /// A fresh one: a loopback interface that is down, and nothing else.
    pub fn fresh() -> Result<Self, NamespaceError> {
        on_a_thread(|| {
            sys::unshare_network().map_err(NamespaceError::Make)?;
            Self::current()
        })
    }

    /// Runs a closure on a thread of its own in this namespace, and waits for it. A panic goes on in the
    /// caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
        on_a_thread(|| {
            self.enter_for_good()?;
            Ok(work())
        })
    }

    fn enter_for_good(&self) -> Result<(), NamespaceError> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(NamespaceError::Enter)
    }

    /// Moves the calling thread into this namespace until the guard is dropped.
    pub fn enter(&self) -> Result<NamespaceGuard, NamespaceError> {
        let before = Self::current()?;
        self.enter_for_good()?;
        Ok(NamespaceGuard {
            before,
            of_this_thread: PhantomData,
        })
    }
}

/// The calling thread is in another namespace until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it leaves the namespace"]
pub struct NamespaceGuard {
    before: NetworkNamespace,
    /// A namespace is a thread's: the guard must not be dropped by another.
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for NamespaceGuard {
    fn drop(&mut self) {
        if let Err(error) = self.before.enter_for_good() {
            // What came next would change the wrong network.
            eprintln!("banger: cannot leave a network namespace: {error}");
            std::process::abort();
        }
    }
}

/// Runs a closure in a fresh network namespace, on a thread of its own.
pub fn in_fresh<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NamespaceError> {
    NetworkNamespace::fresh()?.run(work)
}

fn on_a_thread<T: Send>(
    work: impl FnOnce() -> Result<T, NamespaceError> + Send,
) -> Result<T, NamespaceError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.map_err(|error| NamespaceError::Thread(error.to_string()))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
