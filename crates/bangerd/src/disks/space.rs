//! How much room a file system has.

use super::DiskError;
use std::path::Path;

/// Room that is left alone, so that the host's other users can still work.
const KEPT_FREE: u64 = 64 << 20;

/// Bytes that this user may still write below the directory.
pub(crate) fn free(directory: &Path) -> Result<u64, DiskError> {
    let found = rustix::fs::statvfs(directory)
        .map_err(|error| DiskError::io("look at the room in", directory)(error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether `needed` bytes fit, beside a little that is left alone.
fn judge(place: &Path, needed: u64, free: u64) -> Result<(), DiskError> {
    if needed.saturating_add(KEPT_FREE) <= free {
        return Ok(());
    }
    Err(DiskError::NoRoom {
        place: place.to_owned(),
        needed: needed.saturating_add(KEPT_FREE),
        free,
    })
}

/// Makes sure that the directory's file system has room for so many bytes.
pub(crate) fn require(directory: &Path, needed: u64) -> Result<(), DiskError> {
    judge(directory, needed, free(directory)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_room_is_left_alone() {
        let place = Path::new("/x");
        assert!(judge(place, 1 << 20, KEPT_FREE + (1 << 20)).is_ok());
        assert!(judge(place, 1 << 20, KEPT_FREE).is_err());
        assert!(judge(place, u64::MAX - 1, KEPT_FREE).is_err());
    }

    mod t1 {
        use super::*;

        #[test]
        fn more_than_the_file_system_has_is_refused_with_the_place() {
            let place = tempfile::tempdir().expect("a directory");
            require(place.path(), 1).expect("one byte fits");
            let error = require(place.path(), 1 << 62).expect_err("does not fit");
            let named = place.path().display().to_string();
            assert!(error.to_string().contains(&named), "{error}");
        }
    }
}
