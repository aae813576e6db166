//! What a snapshot says of itself, in `manifest.json` beside its files.

use super::digest::FileDigest;
use super::sealed::{self, Unreadable};
use super::{Fingerprint, SnapshotError};
use crate::disks::DiskError;
use crate::vmm::DiskRole;
use banger_model::snapshot::Tag;
use banger_model::{SandboxId, SandboxName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The name of the file.
pub(super) const MANIFEST: &str = "manifest.json";

/// The form that is written, and the newest that is read.
const FORM: u32 = 1;

/// The longest manifest that is read, in bytes: they have two thousand, and a command.
const LONGEST: u64 = 256 << 10;

/// A file of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// The guest's memory.
    #[serde(rename = "memory")]
    Memory,
    /// The state of the guest's devices.
    #[serde(rename = "devices")]
    Devices,
    /// The sandbox's system disk.
    #[serde(rename = "system.ext4")]
    SystemDisk,
    /// The sandbox's work disk.
    #[serde(rename = "work.ext4")]
    WorkDisk,
}

impl Part {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Memory,
        Self::Devices,
        Self::SystemDisk,
        Self::WorkDisk,
    ];

    /// The name of the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Devices => "devices",
            Self::SystemDisk => "system.ext4",
            Self::WorkDisk => "work.ext4",
        }
    }

    /// The file of a disk; none of one that all sandboxes share.
    #[must_use]
    pub const fn of_disk(role: DiskRole) -> Option<Self> {
        match role {
            DiskRole::System => Some(Self::SystemDisk),
            DiskRole::Work => Some(Self::WorkDisk),
            DiskRole::Image | DiskRole::Modules => None,
        }
    }
}

/// What a snapshot is. Stored as it is: fields may be added with a default, anything else is a new form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When its moment was, in seconds since 1970.
    pub taken_at: u64,
    /// Whose it was then; nobody's for a template.
    pub sandbox: Option<SandboxName>,
    /// What it is called, if it has a name: then that of its directory.
    pub tag: Option<Tag>,
    /// The command before which it was taken, for a checkpoint.
    pub command: Option<String>,
    /// Where the guest can go on; none if it did not run.
    pub fingerprint: Option<Fingerprint>,
    /// The sandbox that is suspended in it, and goes on as itself; absent from what is a moment of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SandboxId>,
    /// What the sandbox was asked to be, as the store has it.
    #[serde(default)]
    pub spec: String,
    /// Its files. Filled in when it is published.
    pub files: BTreeMap<Part, FileDigest>,
}

fn to_json(manifest: &Manifest) -> serde_json::Result<Vec<u8>> {
    sealed::to_json(FORM, manifest)
}

fn from_json(directory: &Path, text: &[u8]) -> Result<Manifest, SnapshotError> {
    let damaged = |why: &dyn std::fmt::Display| SnapshotError::Damaged {
        directory: directory.to_owned(),
        file: MANIFEST.to_owned(),
        why: format!("cannot be understood: {why}"),
    };
    if text.len() as u64 > LONGEST {
        return Err(damaged(&format_args!("it is longer than {LONGEST} bytes")));
    }
    sealed::from_json(FORM, text).map_err(|unreadable| match unreadable {
        Unreadable::Newer(form) => SnapshotError::Newer {
            directory: directory.to_owned(),
            form,
            known: FORM,
        },
        Unreadable::Damaged(why) => damaged(&why),
    })
}

/// Writes it into a directory that has none; it is durable when this returns and `durable` is asked for.
pub(super) fn write(directory: &Path, manifest: &Manifest, durable: bool) -> Result<(), DiskError> {
    let path = directory.join(MANIFEST);
    let write = |text: Vec<u8>| {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)?;
        file.write_all(&text)?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    let written = to_json(manifest).map_err(io::Error::other).and_then(write);
    written.map_err(DiskError::io("write", &path))
}

/// Reads that of a snapshot's directory.
pub(super) fn read(directory: &Path) -> Result<Manifest, SnapshotError> {
    let path = directory.join(MANIFEST);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SnapshotError::Damaged {
            directory: directory.to_owned(),
            file: MANIFEST.to_owned(),
            why: "is not there".to_owned(),
        }),
        Err(error) => Err(DiskError::io("read", &path)(error).into()),
        Ok(_) => from_json(directory, &text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::manifest;
    use super::*;
    use serde_json::Value;

    fn of(text: &[u8]) -> Result<Manifest, SnapshotError> {
        from_json(Path::new("/s"), text)
    }

    fn full() -> Manifest {
        let digest = |size| FileDigest {
            size,
            sha256: "00".repeat(32),
        };
        Manifest {
            files: Part::ALL.into_iter().zip((1..).map(digest)).collect(),
            command: Some("make install".into()),
            ..manifest()
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let text = to_json(&full()).expect("text");
        insta::assert_snapshot!(String::from_utf8_lossy(&text));
        assert_eq!(of(&text).expect("one"), full());
    }

    #[test]
    fn a_newer_form_is_refused_whatever_else_it_has() {
        let error = of(br#"{"form": 2, "says": 7}"#).expect_err("newer");
        assert!(
            matches!(error, SnapshotError::Newer { form: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_manifest_is_named() {
        let long = vec![b' '; 300_000];
        for text in [&b""[..], b"{", b"[]", b"{\"form\": 1}", b"\0\0", &long] {
            let error = of(text).expect_err("no manifest").to_string();
            assert!(
                error.starts_with("the snapshot in /s is damaged: manifest.json cannot be"),
                "{error}"
            );
        }
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let text = to_json(&full()).expect("text");
        for place in 0..text.len() {
            for bit in 0..8 {
                let mut flipped = text.clone();
                flipped[place] ^= 1 << bit;
                // Another space is the same manifest.
                if let Ok(read) = of(&flipped) {
                    assert_eq!(read, full(), "byte {place}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn what_is_signed_and_no_manifest_is_refused_too() {
        for says in [r#"{}"#, r#"{"files": {"../../evil": {}}}"#, "7"] {
            let says: Value = serde_json::from_str(says).expect("JSON");
            let text = sealed::to_json(FORM, &says).expect("text");
            of(&text).expect_err("no manifest");
        }
    }

    #[test]
    fn what_a_later_banger_adds_is_passed_over() {
        let mut says = serde_json::to_value(full()).expect("a value");
        says["added"] = "later".into();
        let text = sealed::to_json(FORM, &says).expect("text");
        assert_eq!(of(&text).expect("one"), full());
    }

    #[test]
    fn each_part_is_stored_by_its_name() {
        for part in Part::ALL {
            let stored = serde_json::to_value(part).expect("text");
            assert_eq!(stored, part.name());
        }
    }
}
