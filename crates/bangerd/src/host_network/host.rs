//! What the daemon asks of the host: one question, and why it may have no answer.

use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Answer, Change, OpId, Refusal, Survey, Verb};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// Whoever does with root what the daemon may not. The real one is the root helper; tests have a
/// simulated host that judges with the helper's own judge.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// Asks for an operation, and waits for the answer. Dropping the future ends the waiting, not
    /// what was begun.
    fn ask(&self, op: OpId, verb: Verb) -> BoxFuture<'_, Result<Answer, HostError>>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It is not there, or went away before it answered.
    #[error("cannot reach the root helper: {0}")]
    Unreachable(#[source] std::io::Error),
    /// It took too long.
    #[error("the root helper has not answered within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It did nothing, and says why.
    #[error("the root helper refuses: {0}")]
    Refused(Refusal),
    /// It failed while it acted.
    #[error("the root helper failed: {0}")]
    Failed(Fault),
    /// What it said is no answer.
    #[error("the root helper's answer makes no sense: {0}")]
    Nonsense(String),
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        let code = match &error {
            HostError::Unreachable(_) => FaultCode::Unavailable,
            HostError::TimedOut(_) => FaultCode::TimedOut,
            HostError::Refused(Refusal::Version { .. }) => FaultCode::Version,
            HostError::Refused(_) => FaultCode::Refused,
            HostError::Failed(fault) => {
                let remedy = fault.remedy.clone();
                let outer = Self::new(fault.code, &error);
                return match remedy {
                    Some(remedy) => outer.with_remedy(remedy),
                    None => outer,
                };
            }
            HostError::Nonsense(_) => FaultCode::Failed,
        };
        Self::new(code, &error)
    }
}

/// What of ours exists.
///
/// # Errors
/// As [`Host::ask`].
pub(super) async fn survey(host: &dyn Host, op: OpId) -> Result<Survey, HostError> {
    match host.ask(op, Verb::Survey {}).await? {
        Answer::Survey(survey) => Ok(*survey),
        other => Err(nonsense(&other)),
    }
}

/// Asks for a change; what was changed.
///
/// # Errors
/// As [`Host::ask`].
pub(super) async fn change(
    host: &dyn Host,
    op: OpId,
    verb: Verb,
) -> Result<Vec<Change>, HostError> {
    match host.ask(op, verb).await? {
        Answer::Changes(changes) => Ok(changes),
        other => Err(nonsense(&other)),
    }
}

fn nonsense(answer: &Answer) -> HostError {
    HostError::Nonsense(format!("{answer:?}").chars().take(200).collect())
}
