//! The runtime directory: it holds the sockets, so nobody else may own or enter it.

use banger_proto::fault::{Fault, FaultCode};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// Makes the directory (0700) if it is not there, then verifies it: a real directory, no link,
/// owned by `uid`, closed to everybody else. `/tmp` is shared: somebody may have been there first.
///
/// # Errors
/// A fault that says what is wrong with it and what to do.
pub fn prepare(path: &Path, uid: u32) -> Result<(), Fault> {
    let refuse = |why: String| {
        Fault::new(
            FaultCode::Refused,
            format!("the runtime directory {} {why}", path.display()),
        )
        .with_remedy("set XDG_RUNTIME_DIR to a directory of your own with mode 0700")
    };
    match std::fs::DirBuilder::new()
        .recursive(false)
        .mode(0o700)
        .create(path)
    {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refuse(format!("cannot be made: {error}"))),
    }
    let found =
        std::fs::symlink_metadata(path).map_err(|e| refuse(format!("is not there: {e}")))?;
    if !found.file_type().is_dir() {
        return Err(refuse("is not a directory".into()));
    }
    if found.uid() != uid {
        return Err(refuse(format!(
            "belongs to user {}, not to {uid}",
            found.uid()
        )));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refuse(format!(
            "is open to others (mode {:04o})",
            found.mode() & 0o7777
        )));
    }
    Ok(())
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn own() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[test]
    fn it_is_made_closed_and_accepted_again() {
        let temporary = tempfile::tempdir().expect("a directory");
        let path = temporary.path().join("banger");
        prepare(&path, own()).expect("made");
        assert_eq!(
            std::fs::metadata(&path).expect("there").mode() & 0o7777,
            0o700
        );
        prepare(&path, own()).expect("accepted");
    }

    #[test]
    fn a_link_a_file_an_open_directory_and_anothers_are_refused() {
        let temporary = tempfile::tempdir().expect("a directory");
        let at = |name: &str| temporary.path().join(name);
        std::fs::create_dir(at("real")).expect("made");
        symlink(at("real"), at("link")).expect("made");
        std::fs::write(at("file"), "").expect("made");
        std::fs::create_dir(at("open")).expect("made");
        std::fs::set_permissions(at("open"), std::fs::Permissions::from_mode(0o750)).expect("set");
        prepare(&at("mine"), own()).expect("made");
        for (name, uid, why) in [
            ("link", own(), "not a directory"),
            ("file", own(), "not a directory"),
            ("open", own(), "open to others (mode 0750)"),
            ("mine", own() + 1, "belongs to user"),
            ("no/parent", own(), "cannot be made"),
        ] {
            let fault = prepare(&at(name), uid).expect_err(name);
            assert!(fault.message.contains(why), "{name}: {fault}");
            assert!(fault.remedy.is_some());
        }
    }
}
