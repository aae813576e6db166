//! Growing a disk: the host makes its file longer and reads nothing of what a guest has written there but
//! the few numbers that say how far it can grow. What is in it is grown by the guest.

use super::{DiskError, space, whole};
use banger_model::{DiskSize, size};
use banger_proto::fault::{Fault, FaultCode};
use std::fs::File;
use std::path::Path;

/// The room that growing by so many bytes takes: at most 14 MiB for each TiB (measured), and a little.
const fn room_needed(growth: u64) -> u64 {
    (4 << 20) + growth / (32 << 10)
}

/// Why the file system of a disk cannot grow to a size without being laid out anew; `None` when it can,
/// or when the file is not there yet. A guest may have written anything: it deceives itself alone.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn why_not(path: &Path, wanted: DiskSize) -> Result<Option<Fault>, DiskError> {
    if !path.exists() {
        return Ok(None);
    }
    let read = whole::size(path).map_err(DiskError::io("read", path))?;
    let Some(found) = read else {
        let message = format!("{} is no ext4 and cannot grow", path.display());
        return Ok(Some(Fault::new(FaultCode::Failed, message)));
    };
    Ok((wanted.bytes() > found.most).then(|| {
        let most = size::show_bytes(found.most);
        let message = format!(
            "a file system that was made with so little room cannot grow to {wanted}: at most to {most}"
        );
        Fault::new(FaultCode::BadRequest, message)
            .with_remedy("make a machine with a larger disk, and copy what is needed with `banger vm cp`")
    }))
}

/// How many bytes a disk has to have to be of a size: never fewer than it has. Makes sure that there is
/// room for what growing takes.
///
/// # Errors
/// There is no room, or the file cannot be looked at.
pub(crate) fn target(path: &Path, wanted: DiskSize) -> Result<u64, DiskError> {
    let found = path.metadata().map_err(DiskError::io("look at", path))?;
    let wanted = wanted.bytes().max(found.len());
    if wanted > found.len() {
        let directory = path.parent().unwrap_or(Path::new("/"));
        space::require(directory, room_needed(wanted - found.len()))?;
    }
    Ok(wanted)
}

/// Makes the file of a disk that no guest has open at least so long. Gives its length before, if that was
/// less.
///
/// # Errors
/// There is no room, or the host refuses it. The file is as it was.
pub(crate) fn lengthen(path: &Path, wanted: DiskSize) -> Result<Option<u64>, DiskError> {
    let target = target(path, wanted)?;
    let open = File::options().write(true).open(path);
    let file = open.map_err(DiskError::io("open", path))?;
    let found = file.metadata().map_err(DiskError::io("look at", path))?;
    if found.len() >= target {
        return Ok(None);
    }
    file.set_len(target)
        .map_err(DiskError::io("set the size of", path))?;
    Ok(Some(found.len()))
}

/// Takes [`lengthen`] back: nothing has been written to what is cut off.
///
/// # Errors
/// The host refuses it.
pub(crate) fn shorten_again(path: &Path, before: u64) -> Result<(), DiskError> {
    let open = File::options().write(true).open(path);
    open.and_then(|file| file.set_len(before))
        .map_err(DiskError::io("set the size of", path))
}

#[cfg(test)]
mod t1 {
    use super::*;
    use crate::disks::make_sparse_ext4;

    fn size(mib: u64) -> DiskSize {
        DiskSize::try_from(mib).expect("in range")
    }

    fn disk(mib: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("work.ext4");
        make_sparse_ext4(&path, size(mib), "work").expect("made");
        (place, path)
    }

    fn length(path: &Path) -> u64 {
        path.metadata().expect("there").len()
    }

    #[test]
    fn a_file_becomes_longer_and_never_shorter_and_what_is_in_it_is_as_it_was() {
        let (_place, path) = disk(64);
        let before = std::fs::read(&path).expect("read");
        assert_eq!(lengthen(&path, size(64)).expect("is so"), None);
        let grown = lengthen(&path, size(1024)).expect("grows");
        assert_eq!((grown, length(&path)), (Some(64 << 20), 1 << 30));
        assert_eq!(lengthen(&path, size(512)).expect("never shrinks"), None);
        assert_eq!(target(&path, size(512)).expect("room"), 1 << 30);
        assert_eq!(target(&path, size(2048)).expect("room"), 2 << 30);
        shorten_again(&path, 64 << 20).expect("cut");
        assert!(std::fs::read(&path).expect("read") == before);
    }

    #[test]
    fn what_is_no_disk_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let missing = place.path().join("none");
        let error = lengthen(&missing, size(64)).expect_err("not there");
        assert!(error.to_string().contains("none"), "{error}");
        let error = lengthen(place.path(), size(1 << 20)).expect_err("a directory");
        assert!(error.to_string().starts_with("cannot open"), "{error}");
        assert!(shorten_again(&missing, 1).is_err());
    }

    #[test]
    fn what_the_layout_of_a_file_system_does_not_allow_is_known_before() {
        let (_place, path) = disk(64);
        assert_eq!(why_not(&path, size(60 << 10)).expect("read"), None);
        let fault = why_not(&path, size(70 << 10)).expect("read");
        let fault = fault.expect("a reason");
        assert!(fault.message.contains("at most to 64GiB"), "{fault:?}");
        assert_eq!(
            why_not(Path::new("/nonexistent"), size(64)).expect("none"),
            None
        );
    }
}
