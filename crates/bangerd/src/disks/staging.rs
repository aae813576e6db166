//! Building aside and publishing by rename: a crash leaves the whole thing or nothing.

use super::DiskError;
use crate::layout::Layout;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Renames onto a path that must be free.
///
/// # Errors
/// [`DiskError::Exists`] when something is there already; neither path has changed then.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<(), DiskError> {
    let taken = || DiskError::Exists {
        path: to.to_owned(),
    };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(taken()),
        // A file system without the flag: a look before the rename is the best that can be had.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if to.symlink_metadata().is_ok() {
                return Err(taken());
            }
            fs::rename(from, to).map_err(DiskError::io("rename into", to))
        }
        Err(error) => Err(DiskError::io("rename into", to)(error.into())),
    }
}

/// Makes a directory and those above it, for this user only.
pub(crate) fn make_private_directory(path: &Path) -> Result<(), DiskError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(DiskError::io("create", path))
}

/// A directory of its own under [`Layout::staging`], removed with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes one; `purpose` becomes part of its name, for whoever looks at a full disk.
    pub(crate) fn new(layout: &Layout, purpose: &str) -> Result<Self, DiskError> {
        let all = layout.staging();
        make_private_directory(&all)?;
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|error| DiskError::io("name a directory in", &all)(io::Error::other(error)))?;
        let path = all.join(format!("{purpose}-{:016x}", u64::from_ne_bytes(random)));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(DiskError::io("create", &path))?;
        Ok(Self { path })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a directory that was built inside to its final place, which must be free, and makes
    /// sure that it survives a crash from then on.
    pub(crate) fn publish(&self, built: &Path, target: &Path) -> Result<(), DiskError> {
        Self::publish_from(built, target)
    }

    /// The same for a directory of whatever staging.
    pub(crate) fn publish_from(built: &Path, target: &Path) -> Result<(), DiskError> {
        let above = target.parent().unwrap_or(Path::new("/"));
        make_private_directory(above)?;
        sync(built)?;
        rename_new(built, target)?;
        sync(above)
    }

    /// Takes a published directory away: out of sight by one rename, then removed. On a disk that has
    /// no room for even a directory it is removed where it is: broken off, that is one that is
    /// damaged, and can be removed again.
    pub(crate) fn retire(
        layout: &Layout,
        purpose: &str,
        published: &Path,
    ) -> Result<(), DiskError> {
        let removing = DiskError::io("remove", published);
        match Self::new(layout, purpose) {
            Ok(staging) => fs::rename(published, staging.path.join("retired")).map_err(removing),
            Err(DiskError::Full { .. }) => remove_all(published).map_err(removing),
            Err(error) => Err(error),
        }
    }
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> Result<(), DiskError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(DiskError::io("sync", directory))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module made the directory and owns all that is in it"
)]
fn remove_all(directory: &Path) -> io::Result<()> {
    fs::remove_dir_all(directory)
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "staging directory was left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    mod t1 {
        use super::super::*;

        fn layout(place: &Path) -> Layout {
            Layout {
                config: place.join("config"),
                state: place.join("state"),
                cache: place.join("cache"),
                runtime: place.join("run"),
            }
        }

        #[test]
        fn what_is_published_stays_and_the_rest_goes() {
            let place = tempfile::tempdir().expect("a directory");
            let layout = layout(place.path());
            let staging = Staging::new(&layout, "test").expect("is made");
            let built = staging.path().join("built");
            fs::create_dir(&built).expect("is made");
            fs::write(staging.path().join("spool"), "x").expect("writes");
            let target = layout.images().join("one");
            staging.publish(&built, &target).expect("is published");
            drop(staging);
            assert!(target.is_dir());
            assert_eq!(fs::read_dir(layout.staging()).expect("lists").count(), 0);
        }

        #[test]
        fn a_taken_name_is_not_replaced() {
            let place = tempfile::tempdir().expect("a directory");
            let layout = layout(place.path());
            let staging = Staging::new(&layout, "test").expect("is made");
            let built = staging.path().join("built");
            fs::create_dir(&built).expect("is made");
            let target = layout.images().join("one");
            fs::create_dir_all(&target).expect("is made");
            let error = staging.publish(&built, &target).expect_err("is taken");
            assert!(matches!(error, DiskError::Exists { .. }), "{error}");
            assert!(built.is_dir());
        }
    }
}
