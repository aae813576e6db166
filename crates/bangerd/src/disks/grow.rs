//! Growing the ext4 of a disk that no guest has open.
//!
//! The file first, then what is in it: a crash in between leaves a file system that is smaller than its
//! file, which the next look finds. The lock goes with the program that works on the disk, so that a
//! daemon whose predecessor was killed waits for what that one had begun.

use super::programs::{self, ProgramError};
use super::{DiskError, space, whole};
use banger_model::{DiskSize, size};
use banger_proto::fault::{Fault, FaultCode};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

/// How long `e2fsck` and `resize2fs` may take each, in seconds: 1 TiB takes one (measured). What is in
/// the disk is the guest's, who may have made it so that they never end.
const LIMIT: &str = "600";

/// The room that growing by so many bytes takes: at most 14 MiB for each TiB (measured), and a little.
const fn room_needed(growth: u64) -> u64 {
    (4 << 20) + growth / (32 << 10)
}

/// Why the file system of a disk cannot grow to a size without being laid out anew; `None` when it can,
/// or when the file is not there yet.
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

/// Makes the ext4 in the file at least so large. True when it was smaller. It waits while another
/// process is at work on it.
///
/// # Errors
/// There is no room, a program is missing, or the file system is damaged. What is in it is as it was, but
/// for what `e2fsck` repaired.
pub(crate) fn grow_ext4(path: &Path, wanted: DiskSize) -> Result<bool, DiskError> {
    let open = File::options().read(true).write(true).open(path);
    let file = open.map_err(DiskError::io("open", path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| DiskError::io("lock", path)(errno.into()))?;
    let is_large = || {
        let found = whole::size(path).map_err(DiskError::io("read", path))?;
        Ok::<_, DiskError>(found.is_none_or(|found| found.bytes >= wanted.bytes()))
    };
    if is_large()? {
        return Ok(false);
    }
    let before = file
        .metadata()
        .map_err(DiskError::io("look at", path))?
        .len();
    let directory = path.parent().unwrap_or(Path::new("/"));
    space::require(
        directory,
        room_needed(wanted.bytes().saturating_sub(before)),
    )?;
    // Checked before the file is touched, and demanded by `resize2fs`.
    run("e2fsck", &["-f", "-p"], path, &file, 2)?;
    if before < wanted.bytes() {
        file.set_len(wanted.bytes())
            .map_err(DiskError::io("set the size of", path))?;
    }
    if let Err(error) = run("resize2fs", &[], path, &file, 0) {
        // Only what the file system does not use.
        if !is_large().unwrap_or(true) && before < wanted.bytes() {
            file.set_len(before)
                .map_err(DiskError::io("set the size of", path))?;
        }
        return Err(error);
    }
    Ok(true)
}

/// Runs one on the disk; statuses up to `good` are successes. The program holds the lock.
fn run(
    program: &'static str,
    options: &[&str],
    path: &Path,
    lock: &File,
    good: i32,
) -> Result<(), DiskError> {
    let found = programs::command(program)?;
    let start = |source| ProgramError::Start {
        program: found.get_program().into(),
        source,
    };
    let held = lock.try_clone().map_err(start)?;
    let mut limited = programs::command("timeout")?;
    limited
        .args(["--signal=KILL", LIMIT])
        .arg(found.get_program())
        .args(options)
        .arg(path)
        .stdin(Stdio::from(held));
    let output = programs::output_of(limited)?;
    match output.status.code() {
        Some(code) if code <= good => Ok(()),
        _ if output.says("No space left on device") => Err(DiskError::Full {
            place: path.to_owned(),
        }),
        _ => Err(output.failure(program).into()),
    }
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

    fn bytes(path: &Path) -> u64 {
        whole::size(path).expect("readable").expect("an ext4").bytes
    }

    fn is_clean(path: &Path) {
        programs::run("e2fsck", ["-fn".as_ref(), path.as_os_str()]).expect("is clean");
    }

    #[test]
    fn a_disk_grows_once_and_keeps_what_is_in_it() {
        let (place, path) = disk(64);
        let source = place.path().join("source");
        std::fs::write(&source, "kept").expect("written");
        let write = format!("write {} kept", source.display());
        let write = ["-w", "-R", &write].map(std::ffi::OsStr::new);
        programs::run("debugfs", [&write[..], &[path.as_os_str()]].concat()).expect("written");
        assert!(grow_ext4(&path, size(1024)).expect("grows"));
        assert_eq!(bytes(&path), 1 << 30);
        is_clean(&path);
        let read = ["-R", "cat /kept"].map(std::ffi::OsStr::new);
        let read = programs::run("debugfs", [&read[..], &[path.as_os_str()]].concat());
        assert_eq!(read.expect("read").stdout, "kept");
        assert!(!grow_ext4(&path, size(1024)).expect("is so"));
        assert!(!grow_ext4(&path, size(512)).expect("never shrinks"));
        assert_eq!(bytes(&path), 1 << 30);
    }

    #[test]
    fn a_crash_after_the_file_grew_is_made_up_for() {
        let (_place, path) = disk(64);
        let file = File::options().write(true).open(&path).expect("there");
        file.set_len(256 << 20).expect("longer");
        assert_eq!(bytes(&path), 64 << 20);
        assert!(grow_ext4(&path, size(256)).expect("grows"));
        assert_eq!(bytes(&path), 256 << 20);
        is_clean(&path);
    }

    #[test]
    fn a_damaged_file_system_is_refused_and_its_file_stays_as_it_was() {
        use std::os::unix::fs::FileExt;
        let (_place, path) = disk(64);
        let file = File::options().write(true).open(&path).expect("there");
        // Its root directory's inode is no directory any more.
        file.write_all_at(&[0xff; 4096], 4096).expect("written");
        let error = grow_ext4(&path, size(128)).expect_err("damaged");
        assert!(error.to_string().contains("e2fsck failed"), "{error}");
        assert_eq!(path.metadata().expect("there").len(), 64 << 20);
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

    #[test]
    fn who_is_at_work_on_it_is_waited_for() {
        let (_place, path) = disk(64);
        let other = File::open(&path).expect("there");
        flock(&other, FlockOperation::LockExclusive).expect("locked");
        let (told, hears) = std::sync::mpsc::channel();
        let grown = path.clone();
        let growing = std::thread::spawn(move || {
            let grew = grow_ext4(&grown, size(128));
            told.send(()).expect("heard");
            grew
        });
        let early = hears.recv_timeout(std::time::Duration::from_millis(300));
        assert!(early.is_err() && bytes(&path) == 64 << 20);
        drop(other);
        assert!(growing.join().expect("ends").expect("grows"));
    }
}
