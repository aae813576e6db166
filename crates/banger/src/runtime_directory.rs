//! The runtime directory, verified before a socket in it is trusted: whoever can write there can
//! stand in for the daemon.

use banger_proto::fault::{Fault, FaultCode};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why the directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It could not be made or looked at.
    #[error("cannot use the runtime directory {}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or a symbolic link.
    #[error("the runtime directory {} is a {found}, not a directory", path.display())]
    NotADirectory {
        /// The directory.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Somebody else made it.
    #[error("the runtime directory {} belongs to user {owner}, not to you ({uid})", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        uid: u32,
    },
    /// Others can reach into it.
    #[error("the runtime directory {} has mode {mode:04o} where 0700 is needed", path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl From<Untrusted> for Fault {
    fn from(error: Untrusted) -> Self {
        let remedy = match &error {
            Untrusted::Io { .. } => "set XDG_RUNTIME_DIR to a directory that you can write".into(),
            Untrusted::NotADirectory { path, .. } | Untrusted::Owner { path, .. } => format!(
                "remove {}, or set XDG_RUNTIME_DIR to a directory of your own",
                path.display()
            ),
            Untrusted::Mode { path, .. } => format!("run `chmod 700 {}`", path.display()),
        };
        Self::new(FaultCode::Refused, error).with_remedy(remedy)
    }
}

/// Makes the directory if it is not there, and verifies it.
///
/// # Errors
/// [`Untrusted`]: it is not a directory of this user's with mode 0700.
pub fn ensure(path: &Path, uid: u32) -> Result<(), Untrusted> {
    let failed = |source| Untrusted::Io {
        path: path.into(),
        source,
    };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let found = std::fs::symlink_metadata(path).map_err(failed)?;
    judge(path, &found, uid)
}

fn judge(path: &Path, found: &std::fs::Metadata, uid: u32) -> Result<(), Untrusted> {
    let path = || path.to_path_buf();
    if !found.is_dir() {
        let what = if found.is_symlink() {
            "symbolic link"
        } else {
            "file"
        };
        return Err(Untrusted::NotADirectory {
            path: path(),
            found: what,
        });
    }
    if found.uid() != uid {
        return Err(Untrusted::Owner {
            path: path(),
            owner: found.uid(),
            uid,
        });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o777 != 0o700 {
        return Err(Untrusted::Mode { path: path(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn a_missing_directory_is_made_with_mode_0700_and_accepted_again() {
        let root = tempfile::tempdir().expect("temporary directory");
        let path = root.path().join("banger");
        ensure(&path, me()).expect("made");
        assert_eq!(
            std::fs::metadata(&path).expect("there").mode() & 0o777,
            0o700
        );
        ensure(&path, me()).expect("accepted");
    }

    #[test]
    fn wider_modes_are_refused_with_the_command_that_helps() {
        let root = tempfile::tempdir().expect("temporary directory");
        for mode in [0o755, 0o770, 0o701, 0o500] {
            std::fs::set_permissions(root.path(), PermissionsExt::from_mode(mode)).expect("mode");
            let fault = Fault::from(ensure(root.path(), me()).expect_err("refused"));
            assert!(fault.message.contains("0700"), "{fault}");
            assert!(fault.remedy.is_some_and(|r| r.contains("chmod 700")));
        }
        std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o700)).expect("mode");
    }

    #[test]
    fn links_files_and_other_owners_are_refused() {
        let root = tempfile::tempdir().expect("temporary directory");
        let real = root.path().join("real");
        ensure(&real, me()).expect("made");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("file");
        for (path, word) in [(&link, "symbolic link"), (&file, "file")] {
            let error = ensure(path, me()).expect_err("refused");
            assert!(error.to_string().contains(word), "{error}");
        }
        let error = ensure(&real, me().wrapping_add(1)).expect_err("refused");
        assert!(matches!(error, Untrusted::Owner { .. }));
        let missing = root.path().join("no/such/parent");
        assert!(matches!(ensure(&missing, me()), Err(Untrusted::Io { .. })));
    }
}
