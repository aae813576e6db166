//! Snapshots for tests.

use super::{Fingerprint, Making, Manifest, Part, Snapshot, Verified};
use crate::layout::SandboxPaths;
use crate::vmm::Accelerator;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub(super) fn fingerprint() -> Fingerprint {
    Fingerprint {
        vmm: "qemu 10.0.2".into(),
        vmm_build: "1 bytes of 2.000000003".into(),
        machine: "aa".into(),
        accelerator: Accelerator::Tcg,
        processor: "emulated".into(),
        vcpu: 2,
        memory_mib: 512,
        network: "user".into(),
        kernel: "bb".into(),
        image: "cc".into(),
        initramfs: "dd".into(),
        agent_generation: 4,
    }
}

pub(super) fn manifest() -> Manifest {
    Manifest {
        taken_at: 1_800_000_000,
        sandbox: Some("web".parse().expect("a name")),
        tag: Some("before".parse().expect("a tag")),
        command: None,
        suspended: None,
        spec: String::new(),
        fingerprint: Some(fingerprint()),
        files: BTreeMap::new(),
    }
}

/// A directory with room for a sandbox and its snapshots.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    pub(super) verified: Verified,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            verified: Verified::default(),
        }
    }

    /// A sandbox whose directory is there.
    pub(crate) fn sandbox(&self, name: &str) -> SandboxPaths {
        let paths = SandboxPaths {
            state: self.directory.path().join(name),
            runtime: self.directory.path().join("run"),
        };
        fs::create_dir_all(&paths.state).expect("made");
        paths
    }

    /// Where its snapshots are.
    pub(super) fn parent(&self) -> PathBuf {
        self.directory.path().join("snapshots")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.parent().join("before")
    }

    /// One with all its files, not yet published; each file begins with its name.
    pub(super) fn begun(&self) -> Making {
        let making = Making::begin(&self.target()).expect("begun");
        for part in Part::ALL {
            let file = File::create(making.path().join(part.name())).expect("made");
            file.set_len(1 << 20).expect("set");
            file.write_all_at(part.name().as_bytes(), 0)
                .expect("written");
        }
        making
    }

    pub(crate) fn published(&self) -> Snapshot {
        let published = self.begun().publish(manifest(), &self.verified);
        published.expect("published")
    }

    /// Names in a directory, in order.
    pub(super) fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("a directory").flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

/// A file of a snapshot, opened by one who means harm.
pub(super) fn writable(snapshot: &Snapshot, part: Part) -> File {
    let path = snapshot.directory.join(part.name());
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("set");
    let file = File::options().read(true).write(true).open(path);
    file.expect("opened")
}
