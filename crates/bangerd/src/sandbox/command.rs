//! What others ask of a driver.

use super::comparing::Comparison;
use super::saving::Wanted;
use super::taking::Taking;
use crate::operation::OpId;
use crate::progress::Progress;
use crate::record::Record;
use crate::registry::NewName;
use crate::snapshots::Snapshot;
use banger_model::admission::Request;
use banger_model::publish::{PortSelector, Publication};
use banger_model::snapshot::Tag;
use banger_model::spec::Wait;
use banger_proto::fault::Fault;
use banger_proto::owner::sandbox::SetRequest;
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Where the answer to a command goes: the record as it is then.
pub type Reply = oneshot::Sender<Result<Record, Fault>>;

/// Everything that a driver is sent.
#[derive(Debug)]
pub enum Message {
    /// Do something, when it is its turn.
    Command(Command),
    /// Do it not, or undo it: whether that is possible.
    Cancel(OpId, oneshot::Sender<Cancelling>),
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelling {
    /// The operation ends as cancelled.
    Begun,
    /// It is too late.
    Refused,
    /// The driver has not got it.
    Unknown,
}

/// What a sandbox is taken back to.
#[derive(Debug)]
pub enum Back {
    /// A snapshot of its own.
    To(Tag),
    /// What another one is, which was saved for it.
    Into(Arc<Snapshot>),
}

/// The closed list of what a driver can be asked.
#[derive(Debug)]
pub enum Command {
    /// Make what is missing, start the VMM, meet the agent, configure the guest.
    Start(Wait, Progress, Reply),
    /// Shut the guest down in order; harder means if it does not follow.
    Stop(Progress, Reply),
    /// As stop, when nobody has used it for so long.
    StopUnused(Duration, Progress, Reply),
    /// As suspend, when nobody has used it for so long.
    SuspendUnused(Duration, Progress, Reply),
    /// Stop, then start.
    Restart(Wait, Progress, Reply),
    /// Send the VMM a signal.
    Kill(Signal, Progress, Reply),
    /// End it and remove everything.
    Delete(Progress, Reply),
    /// Make the disks and nothing else: the second half of a creation. They are copies of a snapshot's where
    /// there is one.
    Prepare(Option<Arc<Snapshot>>, Progress, Reply),
    /// End it and remove everything, if it does not run and nobody is about to start it.
    Prune(Progress, Reply),
    /// Change what it is to be.
    Set(SetRequest, Progress, Reply),
    /// Bring record and host together again.
    Repair(Progress, Reply),
    /// Give it another name.
    Rename(NewName, Progress, Reply),
    /// Keep this moment of it.
    Snapshot(Wanted, Progress, Reply),
    /// Save its guest's memory and end its VMM.
    Suspend(Progress, Reply),
    /// Take it back to a snapshot, or let what another one is take its place.
    Restore(Back, Progress, Reply),
    /// Compare its disks with what they were.
    Diff(Comparison, Reply),
    /// Keep what it is before a command; for people, the command.
    Checkpoint(String, Progress, Reply),
    /// Take it back to the checkpoint with this number.
    Undo(u32, Progress, Reply),
    /// It waits in the pool: let it be what was asked for.
    Take(Box<Taking>, Progress, Reply),
    /// Publish ports besides those that are; at once if the guest runs.
    Publish(Vec<Publication>, Reply),
    /// Publish ports no longer.
    Unpublish(Vec<PortSelector>, Reply),
}

impl Command {
    /// The request that the admission table knows it by; `None` for what is always admitted.
    #[must_use]
    pub const fn request(&self) -> Option<Request> {
        match self {
            Self::Start(..) => Some(Request::Start),
            Self::Stop(..) | Self::StopUnused(..) => Some(Request::Stop),
            Self::Restart(..) => Some(Request::Restart),
            Self::Kill(..) => Some(Request::Kill),
            Self::Delete(..) => Some(Request::Delete),
            Self::Prune(..) => Some(Request::Prune),
            Self::Set(..) | Self::Rename(..) | Self::Publish(..) | Self::Unpublish(..) => {
                Some(Request::Set)
            }
            Self::Repair(..) => Some(Request::Repair),
            Self::Snapshot(..) | Self::Checkpoint(..) => Some(Request::Snapshot),
            Self::Suspend(..) | Self::SuspendUnused(..) => Some(Request::Suspend),
            Self::Undo(..) => Some(Request::Undo),
            Self::Restore(..) => Some(Request::Restore),
            Self::Diff(..) => Some(Request::Diff),
            Self::Prepare(..) | Self::Take(..) => None,
        }
    }

    /// The operation that it belongs to, if it is one.
    #[must_use]
    pub const fn op(&self) -> Option<OpId> {
        match self {
            Self::Start(_, progress, _)
            | Self::Stop(progress, _)
            | Self::StopUnused(_, progress, _)
            | Self::SuspendUnused(_, progress, _)
            | Self::Restart(_, progress, _)
            | Self::Delete(progress, _)
            | Self::Prune(progress, _)
            | Self::Prepare(_, progress, _)
            | Self::Take(_, progress, _)
            | Self::Snapshot(_, progress, _)
            | Self::Suspend(progress, _)
            | Self::Restore(_, progress, _)
            | Self::Checkpoint(_, progress, _)
            | Self::Undo(_, progress, _)
            | Self::Repair(progress, _)
            | Self::Kill(_, progress, _)
            | Self::Set(_, progress, _)
            | Self::Rename(_, progress, _) => Some(progress.op()),
            Self::Publish(..) | Self::Unpublish(..) | Self::Diff(..) => None,
        }
    }

    /// Whether it can be undone while it goes on.
    #[must_use]
    pub const fn can_be_undone(&self) -> bool {
        matches!(self, Self::Start(..) | Self::Restart(..))
    }

    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply().is_closed()
    }

    const fn reply(&self) -> &Reply {
        match self {
            Self::Start(_, _, reply)
            | Self::Stop(_, reply)
            | Self::StopUnused(_, _, reply)
            | Self::SuspendUnused(_, _, reply)
            | Self::Restart(_, _, reply)
            | Self::Set(_, _, reply)
            | Self::Rename(_, _, reply)
            | Self::Kill(_, _, reply)
            | Self::Delete(_, reply)
            | Self::Prune(_, reply)
            | Self::Prepare(_, _, reply)
            | Self::Take(_, _, reply)
            | Self::Snapshot(_, _, reply)
            | Self::Suspend(_, reply)
            | Self::Restore(_, _, reply)
            | Self::Checkpoint(_, _, reply)
            | Self::Undo(_, _, reply)
            | Self::Repair(_, reply)
            | Self::Diff(_, reply)
            | Self::Publish(_, reply)
            | Self::Unpublish(_, reply) => reply,
        }
    }

    /// Where the answer goes.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        match self {
            Self::Start(_, _, reply)
            | Self::Stop(_, reply)
            | Self::StopUnused(_, _, reply)
            | Self::SuspendUnused(_, _, reply)
            | Self::Restart(_, _, reply)
            | Self::Set(_, _, reply)
            | Self::Rename(_, _, reply)
            | Self::Kill(_, _, reply)
            | Self::Delete(_, reply)
            | Self::Prune(_, reply)
            | Self::Prepare(_, _, reply)
            | Self::Take(_, _, reply)
            | Self::Snapshot(_, _, reply)
            | Self::Suspend(_, reply)
            | Self::Restore(_, _, reply)
            | Self::Checkpoint(_, _, reply)
            | Self::Undo(_, _, reply)
            | Self::Repair(_, reply)
            | Self::Diff(_, reply)
            | Self::Publish(_, reply)
            | Self::Unpublish(_, reply) => reply,
        }
    }
}

/// The signals that may be sent to a VMM, by name, in any case, with or without `SIG`. Numbers,
/// STOP, CONT and real-time signals are refused (the original's rule).
///
/// # Errors
/// A fault that lists what is allowed.
pub fn parse_signal(name: &str) -> Result<Signal, Fault> {
    let upper = name.to_ascii_uppercase();
    let wanted = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = SIGNALS.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, signal)| *signal).ok_or_else(|| {
        Fault::new(
            banger_proto::fault::FaultCode::BadRequest,
            format!("{name:?} is not a signal that a VMM may be sent"),
        )
        .with_remedy("use TERM, KILL, INT, HUP, QUIT, USR1, USR2 or ABRT")
    })
}

/// The name of one of them, as `KILL`.
#[must_use]
pub fn signal_name(signal: Signal) -> &'static str {
    let found = SIGNALS.iter().find(|(_, one)| *one == signal);
    found.map_or("KILL", |(name, _)| name)
}

const SIGNALS: [(&str, Signal); 8] = [
    ("TERM", Signal::TERM),
    ("KILL", Signal::KILL),
    ("INT", Signal::INT),
    ("HUP", Signal::HUP),
    ("QUIT", Signal::QUIT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ABRT", Signal::ABORT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_in_any_case_and_nothing_else_is_taken() {
        for name in ["kill", "SIGKILL", "SigKill"] {
            let signal = parse_signal(name).expect(name);
            assert_eq!((signal, signal_name(signal)), (Signal::KILL, "KILL"));
        }
        for name in ["9", "STOP", "CONT", "RTMIN", "", "SIG", "SIGSIGKILL"] {
            assert!(parse_signal(name).is_err(), "{name}");
        }
    }
}
