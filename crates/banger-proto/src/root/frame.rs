//! The packets themselves.

use super::{Answer, OpId, PACKET_MAX, Refusal, Verb};
use crate::fault::Fault;
use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The exact version of the daemon, as its build has it.
    pub version: String,
    /// The operation that it belongs to.
    pub op: OpId,
    /// What is asked for.
    pub verb: Verb,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The exact version of the helper.
    pub version: String,
    /// The operation, where the request said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<OpId>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done(Answer),
    /// It was refused before anything was done.
    Refused(Refusal),
    /// It failed while it was done; a survey says how far it came.
    Failed(Fault),
}

/// A packet that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than a packet may be.
    #[error("the packet has {length} bytes, {PACKET_MAX} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not the JSON of such a packet.
    #[error("the packet cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it, at most 200 characters.
        why: String,
    },
}

impl Request {
    /// The packet.
    ///
    /// # Errors
    /// `BadFrame::TooLong`.
    pub fn encode(&self) -> Result<Vec<u8>, BadFrame> {
        encode(self)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// `BadFrame` for everything that is not a request.
    pub fn decode(packet: &[u8]) -> Result<Self, BadFrame> {
        decode(packet)
    }
}

impl Reply {
    /// The packet.
    ///
    /// # Errors
    /// `BadFrame::TooLong`.
    pub fn encode(&self) -> Result<Vec<u8>, BadFrame> {
        encode(self)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// `BadFrame` for everything that is not an answer.
    pub fn decode(packet: &[u8]) -> Result<Self, BadFrame> {
        decode(packet)
    }
}

fn encode(frame: &impl Serialize) -> Result<Vec<u8>, BadFrame> {
    let packet = serde_json::to_vec(frame).map_err(unreadable)?;
    within_limit(&packet)?;
    Ok(packet)
}

fn decode<'a, T: Deserialize<'a>>(packet: &'a [u8]) -> Result<T, BadFrame> {
    within_limit(packet)?;
    serde_json::from_slice(packet).map_err(unreadable)
}

fn within_limit(packet: &[u8]) -> Result<(), BadFrame> {
    if packet.len() > PACKET_MAX {
        return Err(BadFrame::TooLong {
            length: packet.len(),
        });
    }
    Ok(())
}

/// The reason, without what would break a line of a log, cut: it may quote the packet.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the form of an argument to map_err"
)]
fn unreadable(error: serde_json::Error) -> BadFrame {
    let why = error.to_string();
    let plain = why.chars().map(|c| if c.is_control() { ' ' } else { c });
    BadFrame::Unreadable {
        why: plain.take(200).collect(),
    }
}
