//! Plans: the steps from what exists to what is wanted, each with its undo.
//!
//! The same planner serves create, start, stop, delete and repair after a crash: repair is planning
//! from a survey that is not empty, towards what [`repair`] says. The functions here decide; the
//! executor only acts.

mod repair;

pub use repair::{Leftover, Unfinished, repair};

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A host object that belongs to one sandbox. Everything that banger makes for a sandbox is one of
/// these, so that a survey can find it and a plan can remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostObject {
    /// The sandbox's directory among the owner's state.
    StateDirectory,
    /// The sparse system disk, laid over the image.
    SystemDisk,
    /// The sparse work disk, `/root` of the guest.
    WorkDisk,
    /// The directory for sockets among the runtime files.
    RuntimeDirectory,
    /// The guest's place on the host's network: a TAP, and what the rules say of it.
    Network,
    /// The VMM process, with its sockets.
    Vmm,
}

impl HostObject {
    /// In the order in which they are made; each may need those before it.
    pub const ALL: [Self; 6] = [
        Self::StateDirectory,
        Self::SystemDisk,
        Self::WorkDisk,
        Self::RuntimeDirectory,
        Self::Network,
        Self::Vmm,
    ];

    /// Whether it exists only while the sandbox runs.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RuntimeDirectory | Self::Network | Self::Vmm)
    }

    /// What it cannot be without: none of these may go while it is there.
    #[must_use]
    pub const fn needs(self) -> &'static [Self] {
        match self {
            Self::StateDirectory | Self::RuntimeDirectory | Self::Network => &[],
            Self::SystemDisk | Self::WorkDisk => &[Self::StateDirectory],
            Self::Vmm => &[
                Self::StateDirectory,
                Self::SystemDisk,
                Self::WorkDisk,
                Self::RuntimeDirectory,
                Self::Network,
            ],
        }
    }

    /// The word that names it in records, in the API and in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::StateDirectory => "state-directory",
            Self::SystemDisk => "system-disk",
            Self::WorkDisk => "work-disk",
            Self::RuntimeDirectory => "runtime-directory",
            Self::Network => "network",
            Self::Vmm => "vmm",
        }
    }
}

impl fmt::Display for HostObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What of a sandbox exists on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey(BTreeSet<HostObject>);

impl Survey {
    /// Whether the object exists.
    #[must_use]
    pub fn has(&self, object: HostObject) -> bool {
        self.0.contains(&object)
    }
    /// Notes that the object exists.
    pub fn found(&mut self, object: HostObject) {
        self.0.insert(object);
    }
    /// Notes that the object is gone.
    pub fn gone(&mut self, object: HostObject) {
        self.0.remove(&object);
    }
    /// What exists, in the order in which it was made.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = HostObject> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<HostObject> for Survey {
    fn from_iter<I: IntoIterator<Item = HostObject>>(objects: I) -> Self {
        Self(objects.into_iter().collect())
    }
}

/// What is wanted of a sandbox's host objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Disks, and nothing that runs; disks that are missing are made.
    Present,
    /// Disks and a VMM.
    Running,
    /// Nothing that runs; what is missing is not made, or a lost work disk would pass for an empty one.
    AtRest,
    /// Nothing at all.
    Absent,
}

impl Goal {
    /// Every goal.
    pub const ALL: [Self; 4] = [Self::Present, Self::Running, Self::AtRest, Self::Absent];
}

/// One change of one host object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make it; it is there or not there afterwards, never half.
    Make(HostObject),
    /// Remove it; that it is gone already is a success.
    Remove(HostObject),
}

impl Step {
    /// The step that takes this one back. A removal has none: what is gone is gone.
    #[must_use]
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::Make(object) => Some(Self::Remove(object)),
            Self::Remove(_) => None,
        }
    }

    /// What it makes or removes.
    #[must_use]
    pub const fn object(self) -> HostObject {
        match self {
            Self::Make(object) | Self::Remove(object) => object,
        }
    }

    /// Whether it removes what one of these needs, and therefore has to be left out.
    #[must_use]
    pub fn is_barred_by(self, left: &[Leftover]) -> bool {
        let Self::Remove(object) = self else {
            return false;
        };
        left.iter().any(|one| one.object.needs().contains(&object))
    }

    /// What the survey would show after the step.
    pub fn apply(self, survey: &mut Survey) {
        match self {
            Self::Make(object) => survey.found(object),
            Self::Remove(object) => survey.gone(object),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Make(object) => write!(f, "make-{object}"),
            Self::Remove(object) => write!(f, "remove-{object}"),
        }
    }
}

/// Plans the way from what exists to the goal: removals first, last made first; then what is
/// missing, in order. Sockets and network of a VMM that is gone are stale: without it they are removed
/// before they are made again.
#[must_use]
pub fn plan(goal: Goal, survey: &Survey) -> Vec<Step> {
    let keep = |object: HostObject| match goal {
        Goal::Absent => false,
        Goal::Present | Goal::AtRest => !object.is_transient(),
        Goal::Running => !object.is_transient() || survey.has(HostObject::Vmm),
    };
    let wanted = |object: &HostObject| match goal {
        Goal::Absent | Goal::AtRest => false,
        Goal::Present => !object.is_transient(),
        Goal::Running => true,
    };
    let removals = survey
        .objects()
        .rev()
        .filter(|object| !keep(*object))
        .map(Step::Remove);
    let makings = HostObject::ALL
        .into_iter()
        .filter(wanted)
        .filter(|object| !(survey.has(*object) && keep(*object)))
        .map(Step::Make);
    removals.chain(makings).collect()
}

#[cfg(test)]
mod tests;
