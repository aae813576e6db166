//! What is on the disks of a machine, seen from the host.

use crate::World;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In the last MiB of the work disk of 64 MiB that [`World::configure_small`] gives, which no file system uses.
pub const PLACE: u64 = 63 << 20;

/// The path of something in the directory of a machine.
///
/// # Panics
/// When there is no such machine.
#[must_use]
pub fn path(world: &World, name: &str, file: &str) -> PathBuf {
    let directory = world.show(name)["directory"].clone();
    PathBuf::from(directory.as_str().expect("a path")).join(file)
}

/// The work disk.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn work(world: &World, name: &str) -> File {
    let mut options = File::options();
    options.read(true).write(true);
    let opened = options.open(path(world, name, "work.ext4"));
    opened.expect("a disk")
}

/// Writes a word of three letters to [`PLACE`], as a simulated guest does not.
///
/// # Panics
/// When it cannot be written.
pub fn write(world: &World, name: &str, word: &str) {
    let written = work(world, name).write_all_at(word.as_bytes(), PLACE);
    written.expect("written");
}

/// Reads it.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn read(world: &World, name: &str) -> String {
    let mut bytes = [0; 3];
    let read = work(world, name).read_exact_at(&mut bytes, PLACE);
    read.expect("read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes to a disk as a guest would: commands of debugfs(8), one in each line.
///
/// # Panics
/// When it is not there, or fails.
pub fn debugfs(world: &World, disk: &Path, commands: &str) {
    let script = world.path("debugfs");
    std::fs::write(&script, commands).expect("written");
    let places = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("debugfs");
    command.env("PATH", format!("{places}:/usr/sbin:/sbin"));
    let ran = command.args(["-w", "-f"]).arg(&script).arg(disk).output();
    let ran = ran.expect("it runs");
    assert!(ran.status.success(), "{ran:?}");
}

/// The file systems of a machine that does not run are whole, by e2fsck.
///
/// # Panics
/// When one is not.
pub fn are_clean(world: &World, name: &str) {
    for disk in ["work.ext4", "system.ext4"] {
        let places = std::env::var("PATH").unwrap_or_default();
        let mut check = Command::new("e2fsck");
        check.env("PATH", format!("{places}:/usr/sbin:/sbin"));
        let checked = check.arg("-fn").arg(path(world, name, disk)).output();
        let checked = checked.expect("it runs");
        assert!(checked.status.success(), "{name}: {checked:?}");
    }
}
