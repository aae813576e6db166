//! What each verb does to one place.

use super::Fact;
use crate::soak::step::Verb;

/// Whether a verb succeeds when nothing comes in between. A [`Verb::Rename`] is to the place's own name
/// here: one to another's is about two places.
pub(super) const fn succeeds(verb: Verb, fact: Fact, published: bool) -> bool {
    match verb {
        Verb::Create | Verb::RunDetached | Verb::RunRm => matches!(fact, Fact::Absent),
        Verb::Exec | Verb::Mark | Verb::Copy => matches!(fact, Fact::Running),
        Verb::Unpublish => !matches!(fact, Fact::Absent) && published,
        Verb::Look | Verb::RepairAll => true,
        // Nothing goes on where nothing else was asked.
        Verb::Cancel(_) => false,
        _ => !matches!(fact, Fact::Absent),
    }
}

/// What a verb that succeeded has led to.
pub(super) const fn promised(verb: Verb, before: Fact) -> Fact {
    match verb {
        Verb::Create => Fact::Created,
        Verb::RunDetached | Verb::Start | Verb::Restart => Fact::Running,
        Verb::RunRm | Verb::Delete => Fact::Absent,
        Verb::Stop | Verb::Kill if matches!(before, Fact::Running) => Fact::Stopped,
        _ => before,
    }
}

/// What a verb that was cut off, or met by another, may have led to besides what was.
pub(super) fn reachable(verb: Verb, before: Fact) -> &'static [Fact] {
    use Fact::{Absent, Created, Running, Stopped};
    match (verb, before) {
        (Verb::Create, Absent) => &[Created],
        (Verb::RunDetached | Verb::RunRm, Absent) => &[Created, Stopped, Running],
        (_, Absent) => &[],
        (Verb::Start | Verb::Restart, _) => &[Stopped, Running],
        (Verb::Stop | Verb::Kill, Running) => &[Stopped],
        (Verb::Delete, _) => &[Stopped, Absent],
        (Verb::RunRm, _) => &[Absent],
        _ => &[],
    }
}

/// What a verb that was cancelled may have led to besides what was: one that had not begun to nothing,
/// and what a start had begun is undone.
pub(super) const fn undone(verb: Verb, before: Fact) -> &'static [Fact] {
    match (verb, before) {
        (_, Fact::Absent) => &[],
        (Verb::Start | Verb::Restart, _) => &[Fact::Stopped],
        _ => &[],
    }
}

/// Whether it makes a machine.
pub(super) const fn creates(verb: Verb) -> bool {
    matches!(verb, Verb::Create | Verb::RunDetached | Verb::RunRm)
}

/// Whether a guest may run behind it that did not before.
pub(super) const fn starts(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::RunDetached | Verb::RunRm | Verb::Start | Verb::Restart
    )
}

/// Whether it is an operation of its machine, which can be cancelled while it waits.
pub(super) const fn is_operation(verb: Verb) -> bool {
    !matches!(
        verb,
        Verb::Exec
            | Verb::Mark
            | Verb::Copy
            | Verb::Publish
            | Verb::Unpublish
            | Verb::Look
            | Verb::RepairAll
            | Verb::Cancel(_)
    )
}
