//! A snapshot that is being made.

use super::manifest::{self, Manifest, Part};
use super::unfinished::{beside, hold, remove_all, retire};
use super::{FileDigest, Snapshot, SnapshotError, Verified};
use crate::disks::DiskError;
use crate::disks::staging::{make_private_directory, rename_new};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory that becomes a snapshot by [`Making::publish`]; otherwise it goes, with all that is in it, when
/// this is dropped.
#[derive(Debug)]
pub struct Making {
    path: PathBuf,
    target: PathBuf,
    published: bool,
    /// Held open: see [`hold`].
    directory: File,
}

impl Making {
    /// Begins one beside its later place, which nobody looks at yet. The directory above it is made if it is
    /// not there.
    ///
    /// # Errors
    /// The host refuses, or has no room for a directory.
    pub fn begin(target: &Path) -> Result<Self, SnapshotError> {
        make_private_directory(target.parent().unwrap_or(Path::new("/")))?;
        let path = beside(target)?;
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(DiskError::io("create", &path))?;
        let directory = hold(&path).inspect_err(|_| drop(remove_all(&path)))?;
        Ok(Self {
            path,
            target: target.to_owned(),
            published: false,
            directory,
        })
    }

    /// Where its files go, each with the name of its [`Part`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where one of its files goes.
    #[must_use]
    pub fn file(&self, part: Part) -> PathBuf {
        self.path.join(part.name())
    }

    /// Makes it a snapshot: its files are digested and become read-only, the manifest says so, and all of it is
    /// on the disk before it appears. Which files there are is looked up; `manifest.files` is not asked.
    ///
    /// # Errors
    /// [`SnapshotError::Exists`] when its place is taken; there is no room, or the host refuses. Nothing
    /// appears then.
    pub fn publish(
        mut self,
        manifest: Manifest,
        verified: &Verified,
    ) -> Result<Snapshot, SnapshotError> {
        let manifest = self.complete(manifest, verified)?;
        self.appear(manifest)
    }

    /// As [`Making::publish`], in the place of one that is there, which goes: whoever looks sees the one or
    /// the other.
    ///
    /// # Errors
    /// As [`Making::publish`]. The one that was there is as it was then.
    pub fn replace(
        mut self,
        manifest: Manifest,
        verified: &Verified,
    ) -> Result<Snapshot, SnapshotError> {
        let manifest = self.complete(manifest, verified)?;
        if self.target.symlink_metadata().is_err() {
            return self.appear(manifest);
        }
        let failed = |error: Errno| DiskError::io("replace", &self.target)(error.into());
        let exchange = RenameFlags::EXCHANGE;
        match renameat_with(CWD, &self.path, CWD, &self.target, exchange) {
            // What was there is now what is dropped with this.
            Ok(()) => {}
            // A file system without it: for a moment there is none.
            Err(Errno::INVAL | Errno::NOSYS) => {
                retire(&self.target)?;
                return self.appear(manifest);
            }
            Err(error) => return Err(failed(error).into()),
        }
        sync_above(&self.target)?;
        Ok(Snapshot {
            directory: self.target.clone(),
            manifest,
        })
    }

    /// Publishes files whose digests the manifest has already. Not made to last over a loss of power: who
    /// finds it damaged after one does without it.
    ///
    /// # Errors
    /// As [`Making::publish`].
    pub(crate) fn publish_passing(mut self, manifest: Manifest) -> Result<Snapshot, SnapshotError> {
        manifest::write(&self.path, &manifest, false)?;
        self.rename()?;
        Ok(Snapshot {
            directory: self.target.clone(),
            manifest,
        })
    }

    fn complete(&self, manifest: Manifest, verified: &Verified) -> Result<Manifest, DiskError> {
        let mut files = BTreeMap::new();
        for part in Part::ALL {
            let path = self.file(part);
            match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    let file = opened.map_err(DiskError::io("read", &path))?;
                    files.insert(part, seal(&file, &path, verified)?);
                }
            }
        }
        let manifest = Manifest { files, ..manifest };
        manifest::write(&self.path, &manifest, true)?;
        self.directory
            .sync_all()
            .map_err(DiskError::io("sync", &self.path))?;
        Ok(manifest)
    }

    fn appear(&mut self, manifest: Manifest) -> Result<Snapshot, SnapshotError> {
        self.rename()?;
        sync_above(&self.target)?;
        Ok(Snapshot {
            directory: self.target.clone(),
            manifest,
        })
    }

    fn rename(&mut self) -> Result<(), SnapshotError> {
        match rename_new(&self.path, &self.target) {
            Err(DiskError::Exists { path }) => Err(SnapshotError::Exists { directory: path }),
            renamed => {
                renamed?;
                self.published = true;
                Ok(())
            }
        }
    }
}

/// Digests a file; it is not written to from now on.
fn seal(file: &File, path: &Path, verified: &Verified) -> Result<FileDigest, DiskError> {
    fs::set_permissions(path, PermissionsExt::from_mode(0o400))
        .map_err(DiskError::io("change the mode of", path))?;
    file.sync_all().map_err(DiskError::io("sync", path))?;
    verified
        .digest_new(file)
        .map_err(DiskError::io("read", path))
}

/// Makes a name durable.
fn sync_above(path: &Path) -> Result<(), DiskError> {
    let above = path.parent().unwrap_or(Path::new("/"));
    File::open(above)
        .and_then(|opened| opened.sync_all())
        .map_err(DiskError::io("sync", above))
}

impl Drop for Making {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = remove_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished snapshot was left behind");
        }
    }
}

#[cfg(test)]
mod t1 {
    use super::super::fixtures::{Place, manifest};
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").mode() & 0o777
    }

    #[test]
    fn what_is_published_is_private_and_complete_and_nothing_lies_beside_it() {
        let place = Place::new();
        let making = place.begun();
        assert_eq!(mode(making.path()), 0o700);
        let snapshot = making.publish(manifest(), &place.verified);
        let snapshot = snapshot.expect("published");
        assert_eq!(Place::names(&place.parent()), ["before"]);
        assert_eq!(mode(&place.parent()), 0o700);
        assert_eq!(snapshot.manifest.files.len(), 4);
        for name in Place::names(&snapshot.directory) {
            assert_eq!(mode(&snapshot.directory.join(&name)), 0o400, "{name}");
        }
        let opened = Snapshot::open(&place.target()).expect("readable");
        assert_eq!(opened, snapshot);
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let place = Place::new();
        drop(place.begun());
        assert_eq!(Place::names(&place.parent()), [""; 0]);
    }

    #[test]
    fn one_that_is_there_is_not_replaced_unasked() {
        let place = Place::new();
        let first = place.published();
        let making = place.begun();
        let error = making
            .publish(manifest(), &place.verified)
            .expect_err("taken");
        assert!(matches!(error, SnapshotError::Exists { .. }), "{error}");
        assert_eq!(Place::names(&place.parent()), ["before"]);
        assert_eq!(Snapshot::open(&place.target()).expect("whole"), first);
    }

    #[test]
    fn one_that_is_replaced_goes() {
        let place = Place::new();
        for taken_at in [5, 6] {
            let making = place.begun();
            let newer = Manifest {
                taken_at,
                ..manifest()
            };
            making.replace(newer, &place.verified).expect("replaced");
            assert_eq!(Place::names(&place.parent()), ["before"]);
            let opened = Snapshot::open(&place.target()).expect("whole");
            assert_eq!(opened.manifest.taken_at, taken_at);
        }
    }

    #[test]
    fn two_of_one_name_may_be_made_at_once_and_one_appears() {
        let place = Place::new();
        let (one, two) = (place.begun(), place.begun());
        one.publish(manifest(), &place.verified).expect("the first");
        two.publish(manifest(), &place.verified)
            .expect_err("the second");
        assert_eq!(Place::names(&place.parent()), ["before"]);
    }

    #[test]
    fn what_cannot_be_written_or_read_does_not_appear() {
        let place = Place::new();
        let making = place.begun();
        fs::create_dir(making.path().join("manifest.json")).expect("in its way");
        making
            .publish(manifest(), &place.verified)
            .expect_err("no manifest");
        let making = Making::begin(&place.target()).expect("begun");
        fs::create_dir(making.file(Part::Memory)).expect("in its way");
        let error = making.publish(manifest(), &place.verified);
        let error = error.expect_err("a directory").to_string();
        assert!(error.contains("memory"), "{error}");
        assert_eq!(Place::names(&place.parent()), [""; 0]);
    }

    #[test]
    fn where_no_directory_can_be_made_nothing_begins() {
        let place = Place::new();
        let file = place.sandbox("s").state.join("file");
        fs::write(&file, "").expect("written");
        Making::begin(&file.join("before")).expect_err("no directory");
    }
}
