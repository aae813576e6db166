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
