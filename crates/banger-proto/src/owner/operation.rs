//! Long operations: what they tell while they go on.

use crate::fault::Fault;
use serde::{Deserialize, Serialize};

/// One line of a long operation's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first: the operation has begun.
    Accepted {
        /// Its id, `op-` and six characters.
        op: String,
        /// The id of the sandbox that it makes or changes: with it a client that is interrupted can
        /// delete what is being created for it, and nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sandbox: Option<String>,
    },
    /// A new stage begins.
    Stage {
        /// A short sentence in the present participle.
        text: String,
    },
    /// How far the present stage is.
    Amount {
        /// Bytes done.
        done: u64,
        /// Bytes in all, or 0 where it is not known.
        total: u64,
    },
    /// Something that the user should know though the operation goes on.
    Note {
        /// A sentence.
        text: String,
    },
    /// The last: it succeeded.
    Done {
        /// What the operation made, as its plain request would show it.
        result: serde_json::Value,
    },
    /// The last: it failed, and what it had begun is undone.
    Failed {
        /// Why.
        fault: Fault,
    },
}

impl Event {
    /// Whether it is the last.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }
}

/// What an operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// It was cancelled, and what it had begun is undone.
    Cancelled,
}

/// An operation that goes on, or has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Operation {
    /// `op-` and six characters.
    pub id: String,
    /// `create`, `start`, `stop`, `restart`, `kill`, `set`, `rename`, `delete`, `repair`,
    /// `image-import`, `image-make`, `kernel-import`; later versions may have others.
    pub kind: String,
    /// The id of the sandbox that it makes or changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The name that the sandbox had when it began, or the image's, or the kernel's.
    pub name: String,
    /// Seconds since 1970.
    pub begun_at: u64,
    /// The newest stage that it told, while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Seconds since 1970; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// What it came to; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

impl Outcome {
    /// Of a last event.
    #[must_use]
    pub fn of(last: &Event) -> Self {
        match last {
            Event::Failed { fault } if fault.code == crate::fault::FaultCode::Cancelled => {
                Self::Cancelled
            }
            Event::Failed { .. } => Self::Failed,
            _ => Self::Done,
        }
    }

    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
