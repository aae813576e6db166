//! An error as it crosses a socket: what failed, of which kind, and what to do about it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of a fault: what a program can decide by. Each maps to one HTTP status and one exit
/// status of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The request itself is wrong: nothing was done.
    BadRequest,
    /// No such sandbox, image, kernel, session or file.
    NotFound,
    /// The name is taken, or the thing is in use.
    Conflict,
    /// Not in this state (a refusal, not a failure).
    Refused,
    /// The host lacks a program, a device or room for this.
    Unavailable,
    /// The guest did not come up, went away, or broke the protocol.
    Guest,
    /// A limit on time was reached.
    TimedOut,
    /// The operation was cancelled by its caller.
    Cancelled,
    /// Peer and own version do not fit together.
    Version,
    /// Anything else that failed while acting.
    Failed,
}

impl FaultCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::NotFound,
        Self::Conflict,
        Self::Refused,
        Self::Unavailable,
        Self::Guest,
        Self::TimedOut,
        Self::Cancelled,
        Self::Version,
        Self::Failed,
    ];

    /// The HTTP status that carries it (RFC 9110).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::Conflict | Self::Refused | Self::Cancelled => 409,
            Self::Version => 426,
            Self::Unavailable => 503,
            Self::Guest => 502,
            Self::TimedOut => 504,
            Self::Failed => 500,
        }
    }
}

/// An error with its cause in words and its remedy. Displays as the message alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{message}")]
pub struct Fault {
    /// Its kind.
    pub code: FaultCode,
    /// What failed and why, one line, beginning in lower case, without a full stop.
    pub message: String,
    /// What the user can do next, if anything is known to help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The operation's id, as it stands in the daemon's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
}

impl Fault {
    /// A fault without remedy.
    pub fn new(code: FaultCode, message: impl fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            remedy: None,
            op: None,
        }
    }

    /// A fault from an error and all of its sources: `cannot open x: permission denied`.
    pub fn from_error(code: FaultCode, error: &dyn std::error::Error) -> Self {
        Self::new(code, chain(error))
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// Adds the operation's id, unless one is there already.
    #[must_use]
    pub fn with_op(mut self, op: impl fmt::Display) -> Self {
        self.op.get_or_insert_with(|| op.to_string());
        self
    }
}

/// The error and its sources joined by `: `, a source that its parent already shows left out.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_names_each_cause_once() {
        let inner = std::io::Error::other("no such device");
        assert_eq!(chain(&Outer(inner)), "cannot start: no such device");
        let repeated = std::io::Error::other(Outer(std::io::Error::other("cannot start")));
        assert_eq!(chain(&repeated), "cannot start");
    }

    #[test]
    fn every_code_has_an_error_status() {
        for code in FaultCode::ALL {
            assert!((400..600).contains(&code.http_status()), "{code:?}");
        }
    }

    #[test]
    fn the_first_op_id_is_kept() {
        let fault = Fault::new(FaultCode::Failed, "x")
            .with_op("op-1")
            .with_op("op-2");
        assert_eq!(fault.op.as_deref(), Some("op-1"));
    }
}
