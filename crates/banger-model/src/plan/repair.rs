//! What is known when something could not be finished, and where a repair leads.

use super::{Goal, HostObject, Survey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A host object that should be gone and could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// What is left.
    pub object: HostObject,
    /// Why it could not be removed.
    pub why: String,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

/// Work that broke off and left the host in a state that nobody wanted. It is kept in the record: until
/// it is repaired, little is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// What was wanted.
    pub aim: Goal,
    /// What could not be removed; nothing when it is not known what was left.
    pub leftovers: Vec<Leftover>,
}

/// Where a repair leads, from what was wanted and what exists: an intended deletion is finished; a
/// guest that was to run, and does, goes on as it is; everything else comes to rest. A repair starts
/// no guest and makes no disk.
#[must_use]
pub fn repair(aim: Goal, survey: &Survey) -> Goal {
    match aim {
        Goal::Absent => Goal::Absent,
        Goal::Running if survey.has(HostObject::Vmm) => Goal::Running,
        Goal::Running | Goal::Present | Goal::AtRest => Goal::AtRest,
    }
}
