//! What a checkpoint says of itself.

use crate::disks::DiskError;
use crate::snapshots::sealed::{self, Unreadable};
use crate::snapshots::{FileDigest, Fingerprint, Part, SnapshotError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The name of its file.
pub(super) const NAME: &str = "manifest.json";
/// It must count up when the same text would mean something else.
const FORM: u32 = 1;
/// The longest text that is read.
const LONGEST: u64 = 256 << 10;
/// How long ago a file must have been written for a later write to have another time.
const SETTLED: Duration = Duration::from_millis(20);

/// Of each of the base's files.
pub type Parts<T> = BTreeMap<Part, T>;

/// The files of the base.
pub(super) const BASE: [Part; 3] = [Part::Memory, Part::SystemDisk, Part::WorkDisk];

/// A checkpoint. Stored as it is: fields may be added with a default, anything else is a new form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When its moment was, in seconds since 1970.
    pub taken_at: u64,
    /// The command before which it was made, for people.
    pub command: String,
    /// Where the guest can go on.
    pub fingerprint: Option<Fingerprint>,
    /// Which run of the VMM it was.
    pub run: String,
    /// What the sandbox was asked to be, as the store has it.
    #[serde(default)]
    pub spec: String,
    /// What the base has at this moment.
    pub parts: Parts<FileDigest>,
    /// Of the state of the devices.
    pub devices: Option<FileDigest>,
    /// Of the logs that lead to the checkpoint before it. The first has none.
    pub logs: Parts<FileDigest>,
    /// The disks that it was compared with: one that is the same still has not been written since.
    pub seen: Parts<Stamp>,
}

/// Tells whether a file has been written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    /// Of a file that nobody writes to now; none where it was written so shortly before that a later write may
    /// have the same time.
    pub(super) fn of(file: &File) -> std::io::Result<Option<Self>> {
        let found = file.metadata()?;
        let age = SystemTime::now().duration_since(found.modified()?);
        let is_settled = age.is_ok_and(|age| age >= SETTLED);
        Ok(is_settled.then(|| Self {
            inode: found.ino(),
            size: found.size(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
        }))
    }
}

/// The name of the log of a part.
pub(super) const fn log_name(part: Part) -> &'static str {
    match part {
        Part::SystemDisk => "system.before",
        Part::WorkDisk => "work.before",
        Part::Memory | Part::Devices => "memory.before",
    }
}

pub(super) fn write(directory: &Path, entry: &Entry) -> Result<(), DiskError> {
    let path = directory.join(NAME);
    let write = |text: Vec<u8>| {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)?;
        file.write_all(&text)
    };
    let written = sealed::to_json(FORM, entry).map_err(std::io::Error::other);
    written
        .and_then(write)
        .map_err(DiskError::io("write", &path))
}

pub(super) fn read(directory: &Path) -> Result<Entry, SnapshotError> {
    let path = directory.join(NAME);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    read.map_err(DiskError::io("read", &path))?;
    sealed::from_json(FORM, &text).map_err(|unreadable| match unreadable {
        Unreadable::Newer(form) => SnapshotError::Newer {
            directory: directory.to_owned(),
            form,
            known: FORM,
        },
        Unreadable::Damaged(why) => damaged(directory, NAME, why),
    })
}

pub(super) fn damaged(directory: &Path, file: &str, why: impl Into<String>) -> SnapshotError {
    SnapshotError::Damaged {
        directory: directory.to_owned(),
        file: file.to_owned(),
        why: why.into(),
    }
}
