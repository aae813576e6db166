//! What of the file system is left (landlock(7)).

use super::ConfineError;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::fmt;

/// The newest rules that are asked for; what the kernel does not know of them is left out.
const NEWEST: ABI = ABI::V6;

/// What programs need to run: their files, their libraries, and the names of protocols and tables.
const READ: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/iproute2",
    "/etc/protocols",
    "/etc/services",
];
/// This process in /proc, for its namespace's sockets.
const OWN: [&str; 1] = ["/proc/self"];
/// What is written: sysctls, TAPs, and the sink of programs' input.
const WRITE: [&str; 3] = ["/proc/sys/net", "/dev/net/tun", "/dev/null"];

/// How far the file system is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// As far as is asked for.
    Full,
    /// As far as this kernel can: it is older.
    Partial,
    /// Not at all: the kernel has no Landlock, or it is switched off. Capabilities and permissions
    /// still hold.
    Absent,
}

impl fmt::Display for Landlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "in full",
            Self::Partial => "in part (an older kernel)",
            Self::Absent => "absent (the kernel has none)",
        })
    }
}

/// Closes all but the above to this thread and what it runs: also TCP, and signals and abstract
/// sockets to processes outside. Unix sockets with a path stay open: systemd-resolved is asked through one.
pub(super) fn close() -> Result<Landlock, ConfineError> {
    restrict().map_err(|error| ConfineError::Filter {
        asked: "close the file system",
        reason: error.to_string(),
    })
}

fn restrict() -> Result<Landlock, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(READ, read))?
        .add_rules(path_beneath_rules(
            OWN,
            AccessFs::ReadFile | AccessFs::ReadDir,
        ))?
        .add_rules(path_beneath_rules(WRITE, write))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Absent,
    })
}
