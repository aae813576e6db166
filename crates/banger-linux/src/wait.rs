//! Waiting for descriptors until a point in time.

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::{Errno, Result};
use std::time::{Duration, Instant};

/// Waits until one of them is ready; false where the time came first.
pub(crate) fn until(deadline: Instant, descriptors: &mut [PollFd<'_>]) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(descriptors, Some(&left)) {
            Err(Errno::INTR) => {}
            ready => return ready.map(|ready| ready > 0),
        }
    }
}

/// The point in time after that wait; a wait beyond the clock's end ends in a year.
pub(crate) fn deadline(wait: Duration) -> Instant {
    let now = Instant::now();
    let year = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(wait.min(year)).unwrap_or(now)
}
