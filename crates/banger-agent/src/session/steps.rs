//! What a child does between fork and exec: its session and terminal, the guest's world, its user,
//! its directory.

use super::command::Plan;
use crate::account::Account;
use crate::fault::{failed_io, fault};
use crate::root::Root;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Exec, GuestFault};
use rustix::fs::{Gid, Uid};
use rustix::process::Resource;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// What failed between fork and exec, told by one byte through a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    Session = 1,
    Root,
    User,
    Directory,
}

/// The steps between fork and exec, prepared so that they only make system calls.
pub(super) struct Steps {
    told: OwnedFd,
    terminal: bool,
    root: Option<OwnedFd>,
    groups: Vec<Gid>,
    gid: Gid,
    uid: Uid,
    directory: CString,
    needs_directory: bool,
}

impl Steps {
    pub(super) fn new(
        root: &Root,
        exec: &Exec,
        account: &Account,
        plan: &Plan,
        told: OwnedFd,
    ) -> Result<Self, GuestFault> {
        let directory = CString::new(plan.directory.as_slice());
        let directory = directory
            .map_err(|_| fault(FaultCode::BadRequest, "a directory contains a zero byte"))?;
        let inside = root
            .confines()
            .then(|| root.as_fd().try_clone_to_owned())
            .transpose();
        Ok(Self {
            told,
            terminal: exec.terminal.is_some(),
            root: inside.map_err(|error| failed_io("open the guest's root", &error))?,
            groups: account
                .groups
                .iter()
                .map(|gid| Gid::from_raw(*gid))
                .collect(),
            gid: Gid::from_raw(account.gid),
            uid: Uid::from_raw(account.uid),
            directory,
            needs_directory: plan.needs_directory,
        })
    }

    pub(super) fn run(&self) -> rustix::io::Result<()> {
        let stage = |stage: Stage| {
            move |errno| {
                let _ = rustix::io::write(&self.told, &[stage as u8]);
                errno
            }
        };
        self.lead().map_err(stage(Stage::Session))?;
        if let Some(root) = &self.root {
            enter(root).map_err(stage(Stage::Root))?;
            self.become_user().map_err(stage(Stage::User))?;
        }
        self.change_directory().map_err(stage(Stage::Directory))
    }

    /// Leads a session, with the terminal as its own.
    fn lead(&self) -> rustix::io::Result<()> {
        rustix::process::setsid()?;
        if self.terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        Ok(())
    }

    fn become_user(&self) -> rustix::io::Result<()> {
        // The agent's own limit is high; programs that use select(2) need the usual one.
        let mut files = rustix::process::getrlimit(Resource::Nofile);
        files.current = files.maximum.map(|most| most.min(1024));
        rustix::process::setrlimit(Resource::Nofile, files)?;
        rustix::thread::set_thread_groups(&self.groups)?;
        rustix::thread::set_thread_res_gid(self.gid, self.gid, self.gid)?;
        rustix::thread::set_thread_res_uid(self.uid, self.uid, self.uid)
    }

    fn change_directory(&self) -> rustix::io::Result<()> {
        match rustix::process::chdir(self.directory.as_c_str()) {
            Err(_) if !self.needs_directory => rustix::process::chdir(c"/"),
            other => other,
        }
    }
}

/// Makes a guest's root that of the calling process.
pub(crate) fn enter(root: &OwnedFd) -> rustix::io::Result<()> {
    rustix::process::fchdir(root)?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}
