//! Which request is admitted in which state: a table, tested over its full product.
//!
//! | state \ request | start      | stop       | restart | kill       | delete | use    | set    | repair | prune  | snapshot | suspend    | restore | diff   | undo    |
//! |-----------------|------------|------------|---------|------------|--------|--------|--------|--------|--------|----------|------------|---------|--------|---------|
//! | created         | go         | already so | go      | already so | go     | refuse | go     | go     | go     | go       | refuse     | go      | go     | go      |
//! | starting        | wait       | wait       | wait    | go         | go     | wait   | wait   | wait   | refuse | wait     | wait       | wait    | wait   | wait    |
//! | running         | already so | go         | go      | go         | go     | go     | go     | go     | refuse | go       | go         | go      | go     | go      |
//! | stopping        | wait       | wait       | wait    | go         | go     | refuse | wait   | wait   | refuse | wait     | wait       | wait    | wait   | wait    |
//! | stopped         | go         | already so | go      | already so | go     | refuse | go     | go     | go     | go       | refuse     | go      | go     | go      |
//! | suspended       | go         | go         | go      | go         | go     | wake   | refuse | go     | refuse | go       | already so | go      | go     | go      |
//! | deleting        | refuse     | refuse     | refuse  | refuse     | wait   | refuse | refuse | wait   | wait   | refuse   | refuse     | refuse  | refuse | refuse  |
//! | needs-repair    | refuse     | go         | refuse  | go         | go     | refuse | refuse | go     | go     | refuse   | refuse     | refuse  | refuse | refuse  |
//! | unreadable      | refuse     | refuse     | refuse  | refuse     | go     | refuse | refuse | refuse | refuse | refuse   | refuse     | refuse  | refuse | refuse  |
//!
//! "set" changes what a sandbox is to be; "use" is everything that talks to the guest: exec, cp, ports,
//! health; "repair" compares the record with the host and brings the two together;
//! "prune" deletes what nobody uses; "snapshot" keeps a moment of it, "suspend" saves its memory and ends
//! its VMM, "restore" takes it back to a snapshot, "undo" to a checkpoint; "diff" reads its disks. "go" in a transitional state means that the request
//! overtakes the running one, which is cancelled first; "wake" that it is started before.
//!
//! One that waits in the pool is nobody's: see [`admit_pooled`].

use crate::SandboxState;
use std::fmt;

/// What somebody wants of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// Boot it.
    Start,
    /// Shut it down in order.
    Stop,
    /// Stop, then start.
    Restart,
    /// End the VMM at once, or send it a signal.
    Kill,
    /// End it and remove everything that is its own.
    Delete,
    /// Talk to the guest.
    Use,
    /// Change its spec.
    Set,
    /// Bring record and host together again.
    Repair,
    /// End it and remove everything, if it does not run.
    Prune,
    /// Keep this moment of it.
    Snapshot,
    /// Save its memory and end its VMM.
    Suspend,
    /// Take it back to a snapshot.
    Restore,
    /// Compare its disks with what they were.
    Diff,
    /// Take it back to what it was before one of its commands.
    Undo,
}

impl Request {
    /// Every request.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Kill,
        Self::Delete,
        Self::Use,
        Self::Set,
        Self::Repair,
        Self::Prune,
        Self::Snapshot,
        Self::Suspend,
        Self::Restore,
        Self::Diff,
        Self::Undo,
    ];
}

/// The answer of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Do it.
    Go,
    /// It is so already: succeed without doing anything.
    AlreadySo,
    /// Do it after what is going on now has ended, whatever its end.
    Wait,
    /// Start it, then do it.
    Wake,
    /// Not now, for this reason.
    Refuse(Refusal),
}

/// Why not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The request needs a running guest.
    NotRunning,
    /// The sandbox is being deleted.
    BeingDeleted,
    /// Something was left behind that has to be cleaned first.
    NeedsRepair,
    /// Nothing is known of it but its name.
    Unreadable,
    /// It runs, or is about to, or has not ended yet.
    InUse,
    /// What it is to be cannot change while its memory is saved.
    Suspended,
    /// It is nobody's yet.
    Pooled,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "it is not running",
            Self::BeingDeleted => "it is being deleted",
            Self::NeedsRepair => "something that was begun could not be finished",
            Self::Unreadable => "its record cannot be read",
            Self::InUse => "it is in use",
            Self::Suspended => "its guest is suspended and goes on as it was",
            Self::Pooled => "it waits in the pool for a machine to be created",
        })
    }
}

impl Refusal {
    /// What the user can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::InUse => {
                "stop it with `banger vm stop NAME`, or delete it with `banger vm rm NAME`"
            }
            Self::Suspended => {
                "let it go on with `banger vm resume NAME`, or give its memory up with `banger vm stop NAME`"
            }
            Self::Pooled => {
                "create one with `banger vm create`, or delete this one with `banger vm rm NAME`"
            }
            Self::NotRunning => "start it with `banger vm start NAME`",
            Self::BeingDeleted => "wait until it is gone, or choose another name",
            Self::NeedsRepair => "repair it with `banger repair NAME`",
            Self::Unreadable => {
                "use the banger that wrote the record, or delete the machine with `banger vm rm NAME`"
            }
        }
    }
}

/// Looks a request up in the table.
#[must_use]
pub const fn admit(state: SandboxState, request: Request) -> Admission {
    use Admission::{AlreadySo, Go, Wait};
    use SandboxState as S;
    match (state, request) {
        (S::Deleting, Request::Delete | Request::Repair | Request::Prune) => Wait,
        (S::Deleting, _) => Admission::Refuse(Refusal::BeingDeleted),
        (_, Request::Delete) => Go,

        (S::Unreadable, _) => Admission::Refuse(Refusal::Unreadable),
        (S::Created | S::Stopped | S::NeedsRepair, Request::Prune) => Go,
        (S::Starting | S::Running | S::Stopping | S::Suspended, Request::Prune) => {
            Admission::Refuse(Refusal::InUse)
        }
        (S::NeedsRepair, Request::Stop | Request::Kill | Request::Repair) => Go,
        (S::NeedsRepair, _) => Admission::Refuse(Refusal::NeedsRepair),

        (S::Starting | S::Stopping, Request::Kill) => Go,
        (S::Stopping, Request::Use) => Admission::Refuse(Refusal::NotRunning),
        (S::Starting | S::Stopping, _) => Wait,

        (S::Running, Request::Start) | (S::Suspended, Request::Suspend) => AlreadySo,
        (S::Running, _) => Go,

        (S::Suspended, Request::Use) => Admission::Wake,
        (S::Suspended, Request::Set) => Admission::Refuse(Refusal::Suspended),
        (S::Suspended, _) => Go,

        (S::Created | S::Stopped, Request::Stop | Request::Kill) => AlreadySo,
        (S::Created | S::Stopped, Request::Use | Request::Suspend) => {
            Admission::Refuse(Refusal::NotRunning)
        }
        (S::Created | S::Stopped, _) => Go,
    }
}

/// What is admitted, besides what the table says, of a sandbox that waits in the pool: what makes and removes it.
/// Whoever gets it must find it as nobody has touched it.
///
/// # Errors
/// The refusal.
pub const fn admit_pooled(request: Request) -> Result<(), Refusal> {
    match request {
        Request::Start | Request::Delete | Request::Prune | Request::Kill | Request::Repair => {
            Ok(())
        }
        Request::Stop
        | Request::Restart
        | Request::Use
        | Request::Set
        | Request::Snapshot
        | Request::Suspend
        | Request::Restore
        | Request::Diff
        | Request::Undo => Err(Refusal::Pooled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in the module head, read from this very file, is what the function answers.
    #[test]
    fn the_table_in_the_head_is_the_table_in_the_code() {
        let rows: Vec<Vec<String>> = include_str!("admission.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! |"))
            .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect();
        let body = rows.get(2..).expect("head and rule come first");
        assert_eq!(body.len(), SandboxState::ALL.len());
        for row in body {
            let (state, cells) = row.split_first().expect("a state");
            let state: SandboxState = state.parse().expect("a known state");
            for (request, cell) in Request::ALL.into_iter().zip(cells) {
                let word = match admit(state, request) {
                    Admission::Go => "go",
                    Admission::AlreadySo => "already so",
                    Admission::Wait => "wait",
                    Admission::Wake => "wake",
                    Admission::Refuse(_) => "refuse",
                };
                assert_eq!(word, cell, "{state} × {request:?}");
            }
        }
    }

    #[test]
    fn a_delete_is_never_refused() {
        for state in SandboxState::ALL {
            assert!(
                !matches!(admit(state, Request::Delete), Admission::Refuse(_)),
                "{state}"
            );
        }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for state in SandboxState::ALL {
            for request in Request::ALL {
                if let Admission::Refuse(refusal) = admit(state, request) {
                    assert!(!refusal.to_string().is_empty() && refusal.remedy().contains(' '));
                }
            }
        }
    }
}
