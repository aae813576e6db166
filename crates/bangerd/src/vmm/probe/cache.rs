//! What earlier boots showed, in a small file that may be lost at any time.

use super::Probe;
use crate::vmm::machine::Accelerator;
use crate::vmm::qemu::Program;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a result holds for: if any of these changes, a guest is booted anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    kernel: String,
    host: String,
    vmm: String,
}

impl Key {
    /// From the guest kernel's digest, `/proc/cpuinfo` and the release of the host's kernel as
    /// they are, and the VMM.
    #[must_use]
    pub fn new(kernel_digest: &str, cpuinfo: &str, host_release: &str, vmm: &Program) -> Self {
        let field = |name: &str| {
            let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(key, _)| key.trim() == name);
            found.map_or("", |(_, value)| value.trim())
        };
        let model = field("model name");
        // The list is long; two processors of one model may differ in it by what a hypervisor hides.
        let flags = Sha256::digest(field("flags"));
        let flags: String = flags
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let modified = vmm.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            kernel: kernel_digest.to_owned(),
            host: format!("{model}, flags {flags}, linux {}", host_release.trim()),
            vmm: format!(
                "{} {} {}",
                vmm.version,
                vmm.path.display(),
                modified.as_nanos()
            ),
        }
    }
}

/// After this time a boot that failed is tried again: the host may have been overloaded then.
const FAILURE_HOLDS: Duration = Duration::from_secs(24 * 60 * 60);

/// As many kernels as one is likely to have in use.
const MOST_ENTRIES: usize = 16;

/// More than the entries can need.
const LARGEST_FILE: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: Key,
    accelerator: Accelerator,
    reason: String,
    probed_at_unix_s: u64,
    took_ms: u64,
}

/// What is remembered; a file that is missing, unreadable or not of this form remembers nothing.
pub(super) fn read(path: &Path, key: &Key, now: SystemTime) -> Option<Probe> {
    let entry = entries(path).into_iter().find(|entry| entry.key == *key)?;
    let probed_at = UNIX_EPOCH.checked_add(Duration::from_secs(entry.probed_at_unix_s))?;
    // A time that lies in the future says that a clock was wrong.
    let age = now.duration_since(probed_at).ok()?;
    if entry.accelerator == Accelerator::Tcg && age > FAILURE_HOLDS {
        return None;
    }
    Some(Probe {
        accelerator: entry.accelerator,
        reason: entry.reason,
        remedy: None,
        probed_at: Some(probed_at),
        took: Duration::from_millis(entry.took_ms),
    })
}

/// Whether the file holds what is of no use any more: a failure that is too old, a time that lies in the
/// future, or nothing that can be read.
pub(super) fn is_stale(path: &Path, now: SystemTime) -> bool {
    let Ok(text) = fs::read(path) else {
        return false;
    };
    let Ok(entries) = serde_json::from_slice::<Vec<Entry>>(&text) else {
        return true;
    };
    entries.iter().any(|entry| {
        let probed = UNIX_EPOCH.checked_add(Duration::from_secs(entry.probed_at_unix_s));
        let age = probed.and_then(|probed| now.duration_since(probed).ok());
        let failed = entry.accelerator == Accelerator::Tcg;
        age.is_none_or(|age| failed && age > FAILURE_HOLDS)
    })
}

/// Remembers a result in place of an older one for the same key; by rename, so that a reader or a
/// crash sees the old file or the new one.
pub(super) fn write(path: &Path, key: &Key, probe: &Probe) -> io::Result<()> {
    let since = probe
        .probed_at
        .unwrap_or(UNIX_EPOCH)
        .duration_since(UNIX_EPOCH);
    let mut all = vec![Entry {
        key: key.clone(),
        accelerator: probe.accelerator,
        reason: probe.reason.clone(),
        probed_at_unix_s: since.unwrap_or_default().as_secs(),
        took_ms: u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
    }];
    all.extend(entries(path).into_iter().filter(|entry| entry.key != *key));
    all.truncate(MOST_ENTRIES);
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let new = directory.join(format!("probe.json.{}", std::process::id()));
    let mut file = File::create(&new)?;
    let renamed = serde_json::to_writer_pretty(&mut file, &all)
        .map_err(io::Error::from)
        .and_then(|()| file.flush())
        .and_then(|()| fs::rename(&new, path));
    renamed.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

fn entries(path: &Path) -> Vec<Entry> {
    let mut text = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text));
    match opened {
        Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmm::qemu::Version;

    fn program(version: Version) -> Program {
        Program {
            path: "/usr/bin/qemu".into(),
            version,
            modified: UNIX_EPOCH + Duration::from_secs(5),
        }
    }

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu vmx\n\nprocessor\t: 1\nflags\t\t: other\n";

    fn key() -> Key {
        Key::new("k", CPUINFO, "6.1\n", &program(Version(9, 0, 0)))
    }

    #[test]
    fn a_change_of_kernel_processor_host_or_vmm_is_another_key() {
        let older = program(Version(8, 0, 0));
        let rebuilt = Program {
            modified: UNIX_EPOCH,
            ..program(Version(9, 0, 0))
        };
        let same = program(Version(9, 0, 0));
        let others = [
            Key::new("l", CPUINFO, "6.1", &same),
            Key::new("k", &CPUINFO.replace("Some", "Other"), "6.1", &same),
            Key::new("k", &CPUINFO.replace(" vmx", ""), "6.1", &same),
            Key::new("k", CPUINFO, "6.2", &same),
            Key::new("k", CPUINFO, "6.1", &older),
            Key::new("k", CPUINFO, "6.1", &rebuilt),
        ];
        for other in others {
            assert_ne!(other, key());
        }
        assert_eq!(Key::new("k", CPUINFO, "6.1", &same), key());
    }

    mod t1 {
        use super::*;

        const NOW: Duration = Duration::from_secs(1_000_000);

        fn probe(accelerator: Accelerator) -> Probe {
            Probe {
                accelerator,
                reason: "because".into(),
                remedy: None,
                probed_at: Some(UNIX_EPOCH + NOW),
                took: Duration::from_millis(1500),
            }
        }

        fn after(time: Duration) -> SystemTime {
            UNIX_EPOCH + NOW + time
        }

        #[test]
        fn a_result_is_remembered_for_its_key_alone() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("cache/probe.json");
            write(&path, &key(), &probe(Accelerator::Tcg)).expect("written");
            write(&path, &key(), &probe(Accelerator::Kvm)).expect("written again");
            let known = read(&path, &key(), after(FAILURE_HOLDS * 9));
            assert_eq!(known, Some(probe(Accelerator::Kvm)));
            let other = Key {
                kernel: "other".into(),
                ..key()
            };
            assert_eq!(read(&path, &other, after(Duration::ZERO)), None);
            let files = fs::read_dir(directory.path().join("cache")).expect("read");
            assert_eq!(files.count(), 1, "no temporary file stays");
        }

        #[test]
        fn a_failure_is_tried_again_after_a_day_and_the_future_is_not_believed() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("probe.json");
            write(&path, &key(), &probe(Accelerator::Tcg)).expect("written");
            assert!(read(&path, &key(), after(FAILURE_HOLDS)).is_some());
            let later = after(FAILURE_HOLDS + Duration::from_secs(1));
            assert_eq!(read(&path, &key(), later), None);
            assert_eq!(read(&path, &key(), UNIX_EPOCH), None);
        }

        #[test]
        fn the_cache_does_not_grow_for_ever() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("probe.json");
            for number in 0..40 {
                let key = Key {
                    kernel: number.to_string(),
                    ..key()
                };
                write(&path, &key, &probe(Accelerator::Kvm)).expect("written");
            }
            assert_eq!(entries(&path).len(), MOST_ENTRIES);
        }

        #[test]
        fn a_corrupt_file_counts_as_absent_and_is_replaced() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("probe.json");
            for content in ["", "{", "[{}]", "[1]", "\0\0", "{\"a\": 1}"] {
                fs::write(&path, content).expect("written");
                assert_eq!(read(&path, &key(), after(Duration::ZERO)), None);
                write(&path, &key(), &probe(Accelerator::Kvm)).expect("replaced");
                assert!(read(&path, &key(), after(Duration::ZERO)).is_some());
            }
        }

        #[test]
        fn a_cache_that_cannot_be_written_leaves_nothing() {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("probe.json");
            fs::create_dir(&path).expect("made");
            assert!(write(&path, &key(), &probe(Accelerator::Kvm)).is_err());
            assert_eq!(fs::read_dir(directory.path()).expect("read").count(), 1);
        }
    }
}
