//! Other sizes for a sandbox that there is: what changes, and what cannot.

use crate::spec::{Source, Sourced};
use crate::{DiskSize, MemorySize, Spec, VcpuCount};
use std::fmt;

/// Sizes that are wanted; what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Number of processors.
    pub vcpu: Option<VcpuCount>,
    /// Memory.
    pub memory: Option<MemorySize>,
    /// The work disk.
    pub work_disk: Option<DiskSize>,
    /// The system disk.
    pub system_disk: Option<DiskSize>,
}

/// What gets another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many processors.
    Vcpu(VcpuCount),
    /// So much memory.
    Memory(MemorySize),
    /// A disk of that size.
    Disk(GrowingDisk, DiskSize),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcpu(count) => write!(f, "vcpu {count}"),
            Self::Memory(size) => write!(f, "memory {size}"),
            Self::Disk(disk, size) => write!(f, "{disk} {size}"),
        }
    }
}

/// A disk that can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowingDisk {
    /// The one at `/root`.
    Work,
    /// The one that is laid over the image.
    System,
}

impl GrowingDisk {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Work, Self::System];

    /// The size that a spec says.
    #[must_use]
    pub const fn size(self, spec: &Spec) -> DiskSize {
        match self {
            Self::Work => spec.work_disk.value,
            Self::System => spec.system_disk.value,
        }
    }
}

impl fmt::Display for GrowingDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Work => "work disk",
            Self::System => "system disk",
        })
    }
}

impl Sizes {
    /// The size that is wanted of a disk.
    #[must_use]
    pub const fn of(&self, disk: GrowingDisk) -> Option<DiskSize> {
        match disk {
            GrowingDisk::Work => self.work_disk,
            GrowingDisk::System => self.system_disk,
        }
    }
}

/// A disk would become smaller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {disk} has {has} and cannot shrink to {wanted}: disks only grow")]
pub struct CannotShrink {
    /// Which.
    pub disk: GrowingDisk,
    /// What it has.
    pub has: DiskSize,
    /// What was asked for.
    pub wanted: DiskSize,
}

/// The spec with other sizes, and what changes.
///
/// # Errors
/// [`CannotShrink`].
pub fn resize(spec: &Spec, sizes: &Sizes) -> Result<(Spec, Vec<Change>), CannotShrink> {
    let mut new = spec.clone();
    let mut changed = Vec::new();
    changed.extend(differs(&mut new.vcpu, sizes.vcpu).map(Change::Vcpu));
    changed.extend(differs(&mut new.memory, sizes.memory).map(Change::Memory));
    for disk in GrowingDisk::ALL {
        let now = match disk {
            GrowingDisk::Work => &mut new.work_disk,
            GrowingDisk::System => &mut new.system_disk,
        };
        let (has, wanted) = (now.value, sizes.of(disk));
        if let Some(wanted) = wanted.filter(|wanted| *wanted < has) {
            return Err(CannotShrink { disk, has, wanted });
        }
        changed.extend(differs(now, wanted).map(|size| Change::Disk(disk, size)));
    }
    Ok((new, changed))
}

fn differs<T: Copy + PartialEq>(now: &mut Sourced<T>, wanted: Option<T>) -> Option<T> {
    let wanted = wanted.filter(|wanted| *wanted != now.value)?;
    *now = Sourced::new(wanted, Source::Request);
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Init, NetworkMode};

    fn spec() -> Spec {
        fn of<T>(value: T) -> Sourced<T> {
            Sourced::new(value, Source::Host)
        }
        Spec {
            image: of("debian".parse().expect("a name")),
            kernel: of("default".parse().expect("a name")),
            vcpu: of(2.try_into().expect("in range")),
            memory: of(1024.try_into().expect("in range")),
            work_disk: of(8192.try_into().expect("in range")),
            system_disk: of(4096.try_into().expect("in range")),
            network: of(NetworkMode::User),
            nat: false,
            networks: Default::default(),
            links: Default::default(),
            init: Init::Auto,
            ephemeral: false,
            pooled: None,
            checkpoint: false,
            publish: vec![],
            labels: Default::default(),
        }
    }

    #[test]
    fn what_is_wanted_and_not_so_yet_changes_and_nothing_else() {
        let sizes = Sizes {
            vcpu: 4.try_into().ok(),
            memory: 1024.try_into().ok(),
            work_disk: 16_384.try_into().ok(),
            system_disk: None,
        };
        let (new, changed) = resize(&spec(), &sizes).expect("grows");
        let words: Vec<_> = changed.iter().map(Change::to_string).collect();
        assert_eq!(words, ["vcpu 4", "work disk 16GiB"]);
        assert_eq!(
            (new.vcpu.source, new.memory.source, new.work_disk.source),
            (Source::Request, Source::Host, Source::Request)
        );
        let again = resize(&new, &sizes).expect("is so");
        assert_eq!(again, (new, vec![]));
    }

    #[test]
    fn a_disk_never_shrinks() {
        let sizes = |work: u64, system: u64| Sizes {
            work_disk: work.try_into().ok(),
            system_disk: system.try_into().ok(),
            ..Sizes::default()
        };
        for (sizes, disk) in [
            (sizes(8191, 4096), GrowingDisk::Work),
            (sizes(9000, 64), GrowingDisk::System),
        ] {
            let error = resize(&spec(), &sizes).expect_err("smaller");
            assert_eq!(error.disk, disk);
            let words = format!("the {disk} has ");
            assert!(error.to_string().starts_with(&words), "{error}");
        }
    }
}
