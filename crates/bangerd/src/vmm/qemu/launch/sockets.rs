//! The sockets that a QEMU is about to make: told by the kernel, so that nobody has to look all the time.

use crate::wait::watch_readable;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, retry_on_intr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Room for a few events: which file came does not matter.
const EVENTS: usize = 4096;

/// Watches a directory for new files. To be dropped in the runtime.
pub(super) struct Arrivals {
    /// None where the kernel has no more of these (`fs.inotify.max_user_instances`, inotify(7)).
    watched: Option<AsyncFd<OwnedFd>>,
}

impl Arrivals {
    /// Begins to watch; where that cannot be done, looking again has to do.
    pub(super) fn in_directory(directory: &Path) -> Self {
        let watched = watch(directory).inspect_err(|error| {
            tracing::debug!(directory = %directory.display(), "it is not watched: {error}");
        });
        Self {
            watched: watched.ok(),
        }
    }

    /// Waits until a file has come since this was last asked, at most so long; whether one has.
    pub(super) async fn next(&self, limit: Duration) -> bool {
        let come = async {
            match &self.watched {
                Some(watched) => come(watched).await,
                None => std::future::pending().await,
            }
        };
        tokio::time::timeout(limit, come).await.is_ok()
    }
}

impl Drop for Arrivals {
    /// Closes it where nobody waits: the kernel lets go on only when no processor can see the watch any more (a
    /// grace period of SRCU, `fsnotify_destroy_group`), 9 ms where it was measured.
    fn drop(&mut self) {
        if let Some(watched) = self.watched.take() {
            let watched = watched.into_inner();
            drop(tokio::task::spawn_blocking(move || drop(watched)));
        }
    }
}

fn watch(directory: &Path) -> std::io::Result<AsyncFd<OwnedFd>> {
    let watched = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watched, directory, WatchFlags::CREATE)?;
    watch_readable(watched)
}

/// Takes what has come; a failure counts as such: whoever waits looks and sees.
async fn come(watched: &AsyncFd<OwnedFd>) {
    let mut events = [0; EVENTS];
    while let Ok(mut ready) = watched.readable().await {
        match retry_on_intr(|| rustix::io::read(watched.as_fd(), &mut events)) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::fs;
    use std::time::Instant;

    /// Nobody waits so long but where nothing comes.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn what_comes_ends_the_waiting_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let arrivals = Arrivals::in_directory(directory.path());
        // It had come before anybody waited.
        fs::write(directory.path().join("one"), "").expect("written");
        assert!(arrivals.next(LONG).await);
        let file = directory.path().join("two");
        let (come, ()) = tokio::join!(arrivals.next(LONG), async {
            fs::write(&file, "").expect("written");
        });
        assert!(come);
        // What is written to or goes is nothing that comes, nor does anything come twice.
        fs::write(&file, "more").expect("written");
        fs::remove_file(&file).expect("removed");
        assert!(!arrivals.next(SHORT).await);
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_watched_is_waited_for_no_longer_than_the_limit() {
        let directory = tempfile::tempdir().expect("a directory");
        let arrivals = Arrivals::in_directory(&directory.path().join("missing"));
        let begun = Instant::now();
        assert!(!arrivals.next(SHORT).await);
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG);
    }
}
