//! What exists of a sandbox on the host: plain data for the planner.

use crate::layout::{Layout, SandboxPaths};
use crate::record::Record;
use crate::vmm::{ProcessIdentity, qemu};
use banger_model::plan::{HostObject, Survey};
use rustix::net::sockopt::socket_peercred;
use std::io;
use std::os::unix::net::UnixStream;

/// What was found, and the VMM among it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) survey: Survey,
    pub(super) vmm: Option<ProcessIdentity>,
}

/// Looks for each host object of the sandbox. The VMM is the recorded process if that lives;
/// otherwise one that was not recorded, which covers a daemon that was killed between starting a VMM and
/// recording it.
///
/// # Errors
/// When the host cannot be looked at: nothing is known then, so nothing may be changed.
pub(super) fn survey(
    paths: &SandboxPaths,
    recorded: Option<&ProcessIdentity>,
) -> io::Result<Found> {
    let mut survey = Survey::default();
    let files = [
        (HostObject::StateDirectory, paths.state.clone()),
        (HostObject::SystemDisk, paths.system_disk()),
        (HostObject::WorkDisk, paths.work_disk()),
        (HostObject::RuntimeDirectory, paths.runtime.clone()),
    ];
    for (object, path) in files {
        if path.try_exists()? {
            survey.found(object);
        }
    }
    let vmm = match recorded {
        Some(process) if process.is_alive()? => Some(process.clone()),
        _ => unrecorded(paths)?,
    };
    if vmm.is_some() {
        survey.found(HostObject::Vmm);
    }
    Ok(Found { survey, vmm })
}

/// A VMM of the sandbox that no record knows: whoever answers on its control socket, or was started to
/// and has not opened it yet. Without its directory there is none.
pub(super) fn unrecorded(paths: &SandboxPaths) -> io::Result<Option<ProcessIdentity>> {
    if !paths.runtime.try_exists()? {
        return Ok(None);
    }
    match whoever_answers(paths)? {
        None => qemu::started_for(paths),
        found => Ok(found),
    }
}

/// The process behind the control socket. The runtime directory is the owner's alone, so whoever
/// listens there was started by this owner's daemon.
fn whoever_answers(paths: &SandboxPaths) -> io::Result<Option<ProcessIdentity>> {
    let Ok(connection) = UnixStream::connect(paths.vmm_socket()) else {
        return Ok(None);
    };
    let peer = socket_peercred(&connection)?;
    match u32::try_from(peer.pid.as_raw_nonzero().get()).map(ProcessIdentity::of) {
        Ok(Ok(process)) => Ok(Some(process)),
        _ => Ok(None),
    }
}

/// Whether the VMM of a record lives, as far as that can be told.
#[must_use]
pub fn vmm_lives(layout: &Layout, record: &Record) -> bool {
    vmm_of(layout, record).is_some()
}

/// The process of a record's VMM, if that lives, as far as that can be told.
#[must_use]
pub fn vmm_of(layout: &Layout, record: &Record) -> Option<u32> {
    let paths = SandboxPaths::of(layout, record.id);
    let recorded = record.run.as_ref().map(|run| &run.process);
    let found = survey(&paths, recorded).ok()?;
    found.vmm.map(|process| process.pid)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn paths(directory: &std::path::Path) -> SandboxPaths {
        SandboxPaths {
            state: directory.join("state"),
            runtime: directory.join("run"),
        }
    }

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(directory.path());
        assert_eq!(
            survey(&paths, None).expect("seen").survey,
            Survey::default()
        );
        std::fs::create_dir(&paths.state).expect("made");
        std::fs::write(paths.work_disk(), "").expect("made");
        let found = survey(&paths, None).expect("seen");
        assert_eq!(
            found.survey,
            [HostObject::StateDirectory, HostObject::WorkDisk]
                .into_iter()
                .collect()
        );
        assert!(found.vmm.is_none());
    }

    #[test]
    fn a_vmm_that_was_never_recorded_is_found_by_its_socket() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(directory.path());
        std::fs::create_dir(&paths.runtime).expect("made");
        let listener = UnixListener::bind(paths.vmm_socket()).expect("bound");
        let found = survey(&paths, None).expect("seen");
        assert_eq!(found.vmm.map(|vmm| vmm.pid), Some(std::process::id()));
        drop(listener);
        assert!(survey(&paths, None).expect("seen").vmm.is_none());
    }

    #[test]
    fn a_recorded_process_that_ended_is_not_alive() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut other = ProcessIdentity::of(std::process::id()).expect("this process");
        assert!(
            survey(&paths(directory.path()), Some(&other))
                .expect("seen")
                .vmm
                .is_some()
        );
        other.start_time += 1;
        assert!(
            survey(&paths(directory.path()), Some(&other))
                .expect("seen")
                .vmm
                .is_none()
        );
    }
}
