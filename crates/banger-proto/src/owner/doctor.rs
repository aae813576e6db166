//! What `banger doctor` finds, repairs and proves.

use super::daemon::Check;
use super::time::UtcTime;
use serde::{Deserialize, Serialize};

/// `POST /v1/doctor/fix`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fixed {
    /// What was tried, in order.
    pub repairs: Vec<Repair>,
    /// The checks as they come out afterwards.
    pub checks: Vec<Check>,
}

/// One thing that was repaired, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repair {
    /// What was done, in the past tense.
    pub did: String,
    /// Why it could not be; absent when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What kind of thing of the host something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process.
    Process,
    /// A network interface.
    Link,
    /// Rules of nftables, forwarding, or an entry of the host's resolver.
    Rules,
    /// A mounted file system.
    Mount,
    /// A loop device.
    Loop,
    /// A device of the device mapper.
    Mapper,
    /// A control group.
    Cgroup,
    /// A Unix socket that listens.
    Socket,
    /// A TCP or UDP port that is open.
    Port,
    /// A file or directory.
    File,
}

impl Kind {
    /// The word that it is shown by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Link => "link",
            Self::Rules => "rules",
            Self::Mount => "mount",
            Self::Loop => "loop device",
            Self::Mapper => "mapped device",
            Self::Cgroup => "cgroup",
            Self::Socket => "socket",
            Self::Port => "port",
            Self::File => "file",
        }
    }
}

/// Something that is on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// Its name, path, or pid and program.
    pub name: String,
    /// What tells it from a later one of the same name: an inode, the time of a start.
    pub id: String,
}

/// Something of banger's that nobody needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Leftover {
    /// What it is.
    #[serde(flatten)]
    pub thing: Thing,
    /// Whose it is, or was: a machine, the daemon, the helper, or who holds it.
    pub belongs_to: String,
    /// The machine's id, where it is a machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The process that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The user whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Why it is not needed.
    pub why: String,
}

/// `GET /v1/prove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proof {
    /// What is left behind.
    pub left: Vec<Leftover>,
    /// How many things living machines, daemon and helper have.
    pub owned: usize,
    /// What could not be seen, and why.
    pub not_seen: Vec<String>,
    /// When the record was made that it was compared with.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<UtcTime>,
    /// What else is new since then and is not banger's; only where it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Thing>,
}

/// `POST /v1/prove/baseline`: the record that later proofs are compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub made: UtcTime,
    /// The host's boot that it was made in.
    pub boot: String,
    /// What was there that no living machine, daemon or helper has.
    pub things: Vec<Thing>,
}
