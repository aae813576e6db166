//! Names with a dot: what is being made or removed, and what a crash has left of that.

use super::SnapshotError;
use crate::disks::DiskError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A name beside `target` that nobody has: its own, after a dot, and something random.
pub(super) fn beside(target: &Path) -> Result<PathBuf, DiskError> {
    let mut random = [0_u8; 4];
    getrandom::fill(&mut random).map_err(|error| {
        DiskError::io("name a directory beside", target)(io::Error::other(error))
    })?;
    let name = target.file_name().unwrap_or_default().display();
    let random = u32::from_ne_bytes(random);
    Ok(target.with_file_name(format!(".{name}-{random:08x}")))
}

/// Opens a directory and holds it: who clears up leaves it alone for as long.
pub(super) fn hold(directory: &Path) -> Result<File, DiskError> {
    let opened = File::open(directory).map_err(DiskError::io("open", directory))?;
    flock(&opened, FlockOperation::NonBlockingLockExclusive)
        .map_err(|errno| DiskError::io("lock", directory)(errno.into()))?;
    Ok(opened)
}

/// Takes a directory away: out of sight by one rename, then removed.
pub fn retire(directory: &Path) -> Result<(), SnapshotError> {
    let aside = beside(directory)?;
    match fs::rename(directory, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = directory.to_owned();
            Err(SnapshotError::NotFound { directory })
        }
        Err(error) => Err(DiskError::io("remove", directory)(error).into()),
        Ok(()) => Ok(remove_all(&aside).map_err(DiskError::io("remove", &aside))?),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this room made the directory and owns all that is in it"
)]
pub(super) fn remove_all(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        // Somebody else has cleared it up.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes what crashes have left in a directory of snapshots, or of a sandbox: whatever begins with a dot and
/// is not being made by anybody who lives. Gives what was removed.
///
/// # Errors
/// The directory cannot be read, or something cannot be removed. One that is not there has nothing in it.
pub fn clear_unfinished(parent: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let found = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(DiskError::io("list", parent))?,
    };
    let mut removed = Vec::new();
    for entry in found {
        let path = entry.map_err(DiskError::io("list", parent))?.path();
        let name = path.file_name().unwrap_or_default();
        if !name.as_encoded_bytes().starts_with(b".") || is_held(&path) {
            continue;
        }
        let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let gone = if is_directory {
            remove_all(&path)
        } else {
            fs::remove_file(&path)
        };
        gone.map_err(DiskError::io("remove", &path))?;
        removed.push(path);
    }
    Ok(removed)
}

/// Whether somebody makes it; of what is no directory nobody does.
fn is_held(path: &Path) -> bool {
    let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
    is_directory
        && File::open(path)
            .is_ok_and(|opened| flock(&opened, FlockOperation::NonBlockingLockExclusive).is_err())
}

#[cfg(test)]
mod t1 {
    use super::super::fixtures::Place;
    use super::*;

    #[test]
    fn what_a_crash_left_goes_and_what_is_being_made_stays() {
        let place = Place::new();
        let snapshot = place.published();
        let making = place.begun();
        let left = place.parent().join(".before-12345678");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("memory"), "half").expect("written");
        fs::write(place.parent().join(".work.ext4"), "half").expect("written");
        let mut removed = clear_unfinished(&place.parent()).expect("cleared");
        removed.sort();
        assert_eq!(removed, [left, place.parent().join(".work.ext4")]);
        assert!(making.path().is_dir() && snapshot.directory.is_dir());
        drop(making);
        assert_eq!(Place::names(&place.parent()), ["before"]);
    }

    #[test]
    fn a_link_is_removed_and_not_followed() {
        let place = Place::new();
        let snapshot = place.published();
        let link = place.parent().join(".link");
        std::os::unix::fs::symlink(&snapshot.directory, &link).expect("made");
        clear_unfinished(&place.parent()).expect("cleared");
        assert_eq!(Place::names(&snapshot.directory).len(), 5);
        assert_eq!(Place::names(&place.parent()), ["before"]);
    }

    #[test]
    fn where_nothing_is_there_is_nothing_to_clear() {
        let place = Place::new();
        assert!(clear_unfinished(&place.parent()).expect("none").is_empty());
        let file = place.sandbox("s").state.join("file");
        fs::write(&file, "").expect("written");
        clear_unfinished(&file).expect_err("no directory");
    }
}
