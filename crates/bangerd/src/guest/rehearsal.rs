//! Commands that banger runs in a guest before it is anybody's: what a first command reads and looks for is in the
//! guest's memory then.

use super::Link;
use super::stream::{CallError, Incoming};
use crate::host;
use banger_proto::guest::message::{Call, Exec, Notice};
use std::time::Duration;

/// How long one may take: half a second under emulation.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command to its end, whatever that is, and leaves nothing of it in the agent.
///
/// # Errors
/// It was not started, the guest is lost, or it takes longer than it may.
pub async fn run(link: &Link, argv: &[&str]) -> Result<(), CallError> {
    let session =
        host::random().map_err(|_| CallError::Nonsense("the host has no random bytes"))?;
    let call = Call::Exec(Exec {
        session,
        argv: argv.iter().map(|word| word.as_bytes().to_vec()).collect(),
        environment: vec![],
        directory: None,
        user: None,
        terminal: None,
        stdin: false,
    });
    let running = async {
        let stream = link.open(&call).await?;
        stream.answer(LIMIT).await?;
        loop {
            match stream.next().await {
                Incoming::Notice(Notice::Exited(_)) => return Ok(()),
                Incoming::Closed(Some(reason)) => return Err(CallError::Lost(reason)),
                Incoming::Closed(None) => {
                    return Err(CallError::Nonsense("it ended without a status"));
                }
                _ => {}
            }
        }
    };
    let ran = tokio::time::timeout(LIMIT, running).await;
    ran.unwrap_or(Err(CallError::TimedOut(LIMIT)))?;
    link.call(&Call::Forget(session), LIMIT).await.map(drop)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use crate::guest::link::t1::{self as scripted, Guest};
    use banger_proto::fault::FaultCode;
    use banger_proto::guest::message::{Answer, Attached, ExitStatus, GuestFault};

    #[tokio::test]
    async fn a_command_is_waited_for_whatever_its_status_and_then_forgotten() {
        let script = |mut guest: Guest| async move {
            let stream = guest.call().await;
            let attached = Attached { pid: 7, stdin: 0 };
            guest.answer(stream, &Ok(Answer::Attached(attached))).await;
            let ended = Notice::Exited(ExitStatus::Code(3));
            guest.notice(stream, &ended).await;
            guest.closed(stream).await;
            let stream = guest.call().await;
            guest.answer(stream, &Ok(Answer::Done)).await;
        };
        let (link, playing, _directory) = scripted::met(script).await;
        run(&link, &["false"]).await.expect("it ran");
        playing.await.expect("the whole script");
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_and_a_guest_that_is_lost_are_errors() {
        let script = |mut guest: Guest| async move {
            let stream = guest.call().await;
            let fault = GuestFault {
                code: FaultCode::NotFound,
                message: "the guest has no program true".into(),
            };
            guest.answer(stream, &Err(fault)).await;
            let stream = guest.call().await;
            let attached = Attached { pid: 7, stdin: 0 };
            guest.answer(stream, &Ok(Answer::Attached(attached))).await;
        };
        let (link, playing, _directory) = scripted::met(script).await;
        let error = run(&link, &["true"]).await.expect_err("not there");
        assert!(error.to_string().contains("no program true"), "{error}");
        let error = run(&link, &["true"]).await.expect_err("lost");
        assert!(matches!(error, CallError::Lost(_)), "{error}");
        playing.await.expect("the whole script");
    }
}
