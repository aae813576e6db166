//! The end of a daemon that serves no more: it puts away what nobody needs without it.

use banger_proto::fault::{Fault, FaultCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::time::Instant;

/// How long that may take: each part of it gives up after a few seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for the end of the process behind a file descriptor of it (pidfd_open(2)).
///
/// # Errors
/// It has not ended within `limit`, or cannot be waited for.
pub(super) async fn until_ended(process: OwnedFd, limit: Duration) -> Result<(), Fault> {
    let deadline = Instant::now() + limit;
    while !has_ended(&process)? {
        if Instant::now() >= deadline {
            let message = "the daemon serves no more and has not left yet";
            return Err(Fault::new(FaultCode::TimedOut, message)
                .with_remedy("look into bangerd.log; what it leaves, the next daemon removes"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn has_ended(process: &OwnedFd) -> Result<bool, Fault> {
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    let ready = poll(&mut ends, Some(&Timespec::default()));
    let ready = ready.map_err(|errno| Fault::from_error(FaultCode::Failed, &errno))?;
    Ok(ready > 0)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use std::process::{Command, Stdio};

    #[tokio::test]
    async fn a_process_is_waited_for_and_one_that_stays_is_told() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("started");
        let opened = || pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("there");
        let (one, other) = (opened(), opened());
        let stays = until_ended(one, Duration::from_millis(10)).await;
        let fault = stays.expect_err("its input is open");
        assert_eq!(fault.code, FaultCode::TimedOut);
        drop(child.stdin.take());
        until_ended(other, LIMIT).await.expect("it ends");
        let _ = child.wait();
    }
}
