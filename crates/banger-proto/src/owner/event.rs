//! What happened to sandboxes: `GET /v1/events`.
//!
//! An event is told once it is so, and recorded where it changes a record. Numbers only go up, over
//! restarts of the daemon too; where the disk was full when a daemon was killed some are left out.

use super::time::UtcTime;
use serde::{Deserialize, Serialize};

/// Response header: the number that the stream begins after. A client that lost the daemon asks on
/// with the number of the last event that it has, or with this one if it has none.
pub const SINCE_HEADER: &str = "banger-since";

/// One event; a line of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = SandboxEvent))]
pub struct Event {
    /// Its number; a later event has a larger one.
    pub seq: u64,
    /// When it happened, in UTC.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "2026-11-24T02:13:00.123Z"))]
    pub time: UtcTime,
    /// The sandbox's id.
    pub sandbox: String,
    /// Its name at that time.
    pub name: String,
    /// The operation that it is a part of; absent where nobody had asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = SandboxEventKind))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// It is recorded; its disks come next.
    Created {
        /// The image that it is made of.
        image: String,
    },
    /// Its guest is being booted.
    Starting,
    /// Its agent has answered and its guest is configured.
    Started {
        /// `qemu-kvm` or `qemu-tcg`.
        backend: String,
    },
    /// Its guest did not come up.
    StartFailed {
        /// Why.
        reason: String,
    },
    /// Its guest runs no more.
    Stopped {
        /// Why, where nobody had asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its memory is saved, and nothing of it runs.
    Suspended,
    /// Nothing of it is left.
    Deleted,
    /// It has another name.
    Renamed {
        /// The one before.
        from: String,
    },
    /// It is to be different from what it was.
    Set {
        /// What of it, by the names that `vm show --json` has.
        fields: Vec<String>,
    },
    /// Ports are published.
    Published {
        /// As `127.0.0.1:8080:80/tcp`.
        ports: Vec<String>,
    },
    /// Ports are published no more.
    Unpublished {
        /// As `127.0.0.1:8080:80/tcp`.
        ports: Vec<String>,
    },
    /// The link to its agent is lost; it is being made again.
    LinkLost,
    /// The link that was lost is there again.
    LinkMade,
    /// Its guest waits, for the host has no room.
    Paused {
        /// What would help.
        reason: String,
    },
    /// Its guest goes on.
    Resumed,
    /// Something of it could not be undone.
    NeedsRepair {
        /// What is left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It is in order again.
    Repaired,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl What {
    /// The word that it is shown by.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Starting => "starting",
            Self::Started { .. } => "started",
            Self::StartFailed { .. } => "start failed",
            Self::Stopped { .. } => "stopped",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Renamed { .. } => "renamed",
            Self::Set { .. } => "set",
            Self::Published { .. } => "published",
            Self::Unpublished { .. } => "unpublished",
            Self::LinkLost => "link lost",
            Self::LinkMade => "link made",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::NeedsRepair { .. } => "needs repair",
            Self::Repaired => "repaired",
            Self::Unknown => "something else",
        }
    }

    /// What there is to say besides; empty where there is nothing.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Created { image } => format!("of {image}"),
            Self::Started { backend } => format!("on {backend}"),
            Self::StartFailed { reason } | Self::Paused { reason } => reason.clone(),
            Self::Stopped { reason } | Self::NeedsRepair { reason } => {
                reason.clone().unwrap_or_default()
            }
            Self::Renamed { from } => format!("was {from}"),
            Self::Set { fields } => fields.join(", "),
            Self::Published { ports } | Self::Unpublished { ports } => ports.join(", "),
            Self::Starting
            | Self::Suspended
            | Self::Deleted
            | Self::LinkLost
            | Self::LinkMade
            | Self::Resumed
            | Self::Repaired
            | Self::Unknown => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: What) -> Event {
        Event {
            seq: 7,
            time: UtcTime::from_ms(1_700_000_000_123),
            sandbox: "0123".into(),
            name: "web".into(),
            op: None,
            what,
        }
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let stopped = event(What::Stopped {
            reason: Some("it was killed".into()),
        });
        let line = serde_json::to_string(&stopped).expect("JSON");
        assert_eq!(
            line,
            r#"{"seq":7,"time":"2023-11-14T22:13:20.123Z","sandbox":"0123","name":"web","event":"stopped","reason":"it was killed"}"#
        );
        let read: Event = serde_json::from_str(&line).expect("an event");
        assert_eq!(read, stopped);
    }

    #[test]
    fn a_newer_daemons_events_are_read_by_an_older_client() {
        let line = r#"{"seq":8,"time":"2023-11-14T22:13:20.123Z","sandbox":"0","name":"w","event":"teleported","to":"mars"}"#;
        let read: Event = serde_json::from_str(line).expect("an event");
        assert_eq!((read.seq, read.what), (8, What::Unknown));
    }
}
