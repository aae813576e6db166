//! Whether a machine can be started at all: everything that can be known before anything is made.

use crate::layout::{LONGEST_SOCKET_PATH, fits_socket_address};
use crate::vmm::{Machine, VmmError};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Checks paths, files and roles.
pub(in crate::vmm::qemu) fn check(machine: &Machine) -> Result<(), VmmError> {
    for socket in [machine.paths.vmm_socket(), machine.paths.agent_socket()] {
        if !fits_socket_address(&socket) {
            return Err(VmmError::SocketPath {
                path: socket,
                longest: LONGEST_SOCKET_PATH,
            });
        }
    }
    directory("state directory", &machine.paths.state)?;
    directory("runtime directory", &machine.paths.runtime)?;
    file("kernel", &machine.kernel, false)?;
    file("initramfs", &machine.initramfs, false)?;
    if let Some(saved) = &machine.resume {
        file("saved memory", &saved.memory, false)?;
        file("saved devices' state", &saved.devices, false)?;
    }
    let mut roles = BTreeSet::new();
    for disk in &machine.disks {
        let serial = disk.role.serial();
        if !roles.insert(disk.role) {
            return Err(VmmError::DoubleRole { serial });
        }
        file(&format!("{serial} disk"), &disk.path, !disk.read_only)?;
    }
    Ok(())
}

fn directory(what: &str, path: &Path) -> Result<(), VmmError> {
    let outcome = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => absolute(path),
        Ok(_) => Err("it is not a directory".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    named(what, path, outcome)
}

/// Opens the file as the VMM will; the kind is looked at first, because opening a pipe can block.
fn file(what: &str, path: &Path, write: bool) -> Result<(), VmmError> {
    let outcome = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err("it is not a regular file".to_owned()),
        Ok(metadata) if metadata.len() == 0 => Err("it is empty".to_owned()),
        Ok(_) => match fs::OpenOptions::new().read(true).write(write).open(path) {
            Ok(_) => absolute(path),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    named(what, path, outcome)
}

/// The VMM runs in `/`.
fn absolute(path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err("its path is not absolute".to_owned())
}

fn named(what: &str, path: &Path, outcome: Result<(), String>) -> Result<(), VmmError> {
    outcome.map_err(|why| VmmError::File {
        what: what.to_owned(),
        path: path.to_owned(),
        why,
    })
}
