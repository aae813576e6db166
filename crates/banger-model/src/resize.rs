//! Other sizes for a sandbox that there is: what changes, and what cannot.

use crate::spec::{Source, Sourced};
use crate::{DiskSize, MemorySize, Spec, VcpuCount};

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

/// A disk would become smaller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {disk} has {has} and cannot shrink to {wanted}: disks only grow")]
pub struct CannotShrink {
    /// Which.
    pub disk: &'static str,
    /// What it has.
    pub has: DiskSize,
    /// What was asked for.
    pub wanted: DiskSize,
}

/// The spec with other sizes, and what changes, in words: `vcpu 4`.
///
/// # Errors
/// [`CannotShrink`].
pub fn resize(spec: &Spec, sizes: &Sizes) -> Result<(Spec, Vec<String>), CannotShrink> {
    let mut new = spec.clone();
    let mut changed = Vec::new();
    if let Some(vcpu) = differs(&mut new.vcpu, sizes.vcpu) {
        changed.push(format!("vcpu {vcpu}"));
    }
    if let Some(memory) = differs(&mut new.memory, sizes.memory) {
        changed.push(format!("memory {memory}"));
    }
    for (disk, now, wanted) in [
        ("work disk", &mut new.work_disk, sizes.work_disk),
        ("system disk", &mut new.system_disk, sizes.system_disk),
    ] {
        let has = now.value;
        if let Some(wanted) = wanted.filter(|wanted| *wanted < has) {
            return Err(CannotShrink { disk, has, wanted });
        }
        if let Some(size) = differs(now, wanted) {
            changed.push(format!("{disk} {size}"));
        }
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
        assert_eq!(changed, ["vcpu 4", "work disk 16GiB"]);
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
            (sizes(8191, 4096), "work disk"),
            (sizes(9000, 64), "system disk"),
        ] {
            assert_eq!(resize(&spec(), &sizes).expect_err("smaller").disk, disk);
        }
    }
}
