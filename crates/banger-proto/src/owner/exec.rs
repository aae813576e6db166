//! Commands: `GET /v1/sandboxes/{ref}/exec`, a WebSocket with sub-protocol [`SUBPROTOCOL`].
//!
//! The client's first message is an [`Open`] as text; the daemon answers with an [`Opened`] as text.
//! After that come binary messages: one byte for the channel, then the rest. Channels 0 to 4 and 255
//! are those of Kubernetes' `v5.channel.k8s.io`; 5 and 6 are our own.
//!
//! Credit goes all the way: a side sends bytes of a channel only up to the limit that the other has
//! told ([`crate::guest::flow`]). A client that lost the daemon attaches again with the offsets up to
//! which it has consumed, and misses nothing.

use super::ByteText;
use crate::fault::Fault;
use crate::guest::message;
use serde::{Deserialize, Serialize};

/// The name of this protocol in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "banger.exec.v1";

/// Channels of binary messages.
pub mod channel {
    /// client → daemon: standard input.
    pub const STDIN: u8 = 0;
    /// daemon → client: standard output, or all of a terminal's.
    pub const STDOUT: u8 = 1;
    /// daemon → client: standard error.
    pub const STDERR: u8 = 2;
    /// daemon → client, last: an [`super::Ended`] as JSON.
    pub const ENDED: u8 = 3;
    /// client → daemon: a [`super::Size`] as JSON.
    pub const RESIZE: u8 = 4;
    /// both: a [`crate::guest::flow::Credit`] in its wire form.
    pub const CREDIT: u8 = 5;
    /// client → daemon: one byte, the signal's number.
    pub const SIGNAL: u8 = 6;
    /// both: one byte, the channel that ends.
    pub const END: u8 = 255;
}

/// The client's first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "open", rename_all = "snake_case")]
pub enum Open {
    /// Start a command.
    Start(Start),
    /// Continue with one that was started.
    Attach(Attach),
}

/// A command to start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Start {
    /// 32 hexadecimal digits, random: with them the client can attach again.
    pub session: String,
    /// The program and its arguments; empty: a login shell.
    pub argv: Vec<ByteText>,
    /// Environment in addition to the guest's: pairs of name and value.
    pub environment: Vec<(ByteText, ByteText)>,
    /// Working directory in the guest.
    pub directory: Option<ByteText>,
    /// User, or `user:group`, by name or number.
    pub user: Option<String>,
    /// A terminal of this size.
    pub terminal: Option<Size>,
    /// Whether input will come.
    pub stdin: bool,
    /// Start it without a checkpoint before, though the sandbox keeps them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_checkpoint: bool,
}

/// Where to continue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attach {
    /// The session's id.
    pub session: String,
    /// Bytes of standard output that the client has.
    pub stdout: u64,
    /// Bytes of standard error that the client has.
    pub stderr: u64,
}

/// The daemon's first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "opened", rename_all = "snake_case")]
pub enum Opened {
    /// The command runs.
    Attached {
        /// Its process id in the guest.
        pid: u32,
        /// Bytes of standard input that have arrived: the client continues there.
        stdin: u64,
        /// The sandbox's id: a client that lost the daemon finds the session by it whatever the sandbox
        /// is called by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sandbox: Option<String>,
    },
    /// It could not be started or found.
    Failed {
        /// Why. `not_found` for a program, user or session that is not there; `refused` for a
        /// program that cannot be executed.
        fault: Fault,
    },
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl From<Size> for message::TerminalSize {
    fn from(size: Size) -> Self {
        Self {
            rows: size.rows,
            columns: size.columns,
        }
    }
}

/// How a session ended: the last message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Ended {
    /// The command exited.
    Code {
        /// 0 to 255.
        code: u8,
    },
    /// A signal ended the command.
    Signal {
        /// Its number.
        signal: u8,
    },
    /// Another client has attached to the session.
    Taken,
    /// The guest or the link to it was lost.
    Failed {
        /// Why.
        fault: Fault,
    },
}

impl From<message::ExitStatus> for Ended {
    fn from(status: message::ExitStatus) -> Self {
        match status {
            message::ExitStatus::Code(code) => Self::Code { code },
            message::ExitStatus::Signal(signal) => Self::Signal { signal },
        }
    }
}

/// Reads a session's id.
#[must_use]
pub fn parse_session(text: &str) -> Option<message::SessionId> {
    let id: banger_model::SandboxId = text.parse().ok()?;
    Some(*id.as_bytes())
}

/// Writes a session's id.
#[must_use]
pub fn show_session(session: message::SessionId) -> String {
    banger_model::SandboxId::from_random(session).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_reads_back() {
        let id = *b"0123456789abcdef";
        assert_eq!(parse_session(&show_session(id)), Some(id));
        assert_eq!(parse_session("abc"), None);
    }

    #[test]
    fn what_is_absent_has_a_default_and_what_is_unknown_is_ignored() {
        let open: Open =
            serde_json::from_str(r#"{"open":"start","session":"x","argv":["true"],"newer":1}"#)
                .expect("readable");
        let Open::Start(start) = open else {
            panic!("not a start")
        };
        assert_eq!(
            (start.argv.len(), start.stdin, start.terminal),
            (1, false, None)
        );
    }
}
