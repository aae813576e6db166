//! Values for what a request leaves open: configuration, then the host's size, then built in.

use crate::spec::{Source, Sourced};
use crate::{DiskSize, MemorySize, VcpuCount};

/// What the owner's configuration says; every field may be absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Configured {
    /// `vm_defaults.vcpu`
    pub vcpu: Option<VcpuCount>,
    /// `vm_defaults.memory`
    pub memory: Option<MemorySize>,
    /// `vm_defaults.disk_size`
    pub work_disk: Option<DiskSize>,
    /// `vm_defaults.system_disk_size`
    pub system_disk: Option<DiskSize>,
}

/// What the host has, as surveyed; zero stands for "unknown".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostSize {
    /// Logical processors that the daemon may use.
    pub processors: u32,
    /// Physical memory in MiB.
    pub memory_mib: u64,
}

/// The defaults in force, each with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmDefaults {
    /// Number of virtual processors.
    pub vcpu: Sourced<VcpuCount>,
    /// Memory of the guest.
    pub memory: Sourced<MemorySize>,
    /// Work disk, mounted at `/root`.
    pub work_disk: Sourced<DiskSize>,
    /// System disk, laid over the image.
    pub system_disk: Sourced<DiskSize>,
}

const BUILTIN_VCPU: u32 = 1;
const BUILTIN_MEMORY_MIB: u64 = 1024;
const BUILTIN_DISK_MIB: u64 = 8 * 1024;

/// A quarter of the host's processors, at most 4; an eighth of its memory, at most 8 GiB, at
/// least 1 GiB; disks of 8 GiB, sparse (the original's rule).
#[must_use]
pub fn vm_defaults(configured: Configured, host: HostSize) -> VmDefaults {
    let vcpu = match host.processors / 4 {
        0 => (BUILTIN_VCPU, Source::Builtin),
        quarter => (quarter.min(4), Source::Host),
    };
    let memory = match host.memory_mib / 8 {
        eighth if eighth <= BUILTIN_MEMORY_MIB => (BUILTIN_MEMORY_MIB, Source::Builtin),
        eighth => (eighth.min(8 * 1024), Source::Host),
    };
    VmDefaults {
        vcpu: choose(configured.vcpu, vcpu),
        memory: choose(configured.memory, memory),
        work_disk: choose(configured.work_disk, (BUILTIN_DISK_MIB, Source::Builtin)),
        system_disk: choose(configured.system_disk, (BUILTIN_DISK_MIB, Source::Builtin)),
    }
}

fn choose<T, N>(configured: Option<T>, (number, source): (N, Source)) -> Sourced<T>
where
    T: TryFrom<N>,
    T::Error: std::fmt::Debug,
{
    match configured {
        Some(value) => Sourced::new(value, Source::Config),
        #[expect(clippy::expect_used, reason = "the numbers above are in range; tested")]
        None => Sourced::new(T::try_from(number).expect("a default in range"), source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(processors: u32, memory_mib: u64) -> VmDefaults {
        vm_defaults(
            Configured::default(),
            HostSize {
                processors,
                memory_mib,
            },
        )
    }

    #[test]
    fn a_large_host_gives_at_most_four_processors_and_eight_gib() {
        let defaults = with(96, 512 * 1024);
        assert_eq!(
            (defaults.vcpu.value.get(), defaults.vcpu.source),
            (4, Source::Host)
        );
        assert_eq!(
            (defaults.memory.value.mib(), defaults.memory.source),
            (8192, Source::Host)
        );
    }

    #[test]
    fn a_small_or_unknown_host_gives_what_is_built_in() {
        for defaults in [with(2, 4096), with(0, 0)] {
            assert_eq!(
                (defaults.vcpu.value.get(), defaults.vcpu.source),
                (1, Source::Builtin)
            );
            assert_eq!(
                (defaults.memory.value.mib(), defaults.memory.source),
                (1024, Source::Builtin)
            );
        }
    }

    #[test]
    fn configuration_wins_field_by_field() {
        let configured = Configured {
            vcpu: VcpuCount::try_from(3).ok(),
            ..Configured::default()
        };
        let defaults = vm_defaults(
            configured,
            HostSize {
                processors: 16,
                memory_mib: 65_536,
            },
        );
        assert_eq!(
            (defaults.vcpu.value.get(), defaults.vcpu.source),
            (3, Source::Config)
        );
        assert_eq!(defaults.memory.source, Source::Host);
    }

    proptest! {
        #[test]
        fn every_host_has_defaults_in_range(processors: u32, memory_mib in 0_u64..u64::MAX / 2) {
            let defaults = with(processors, memory_mib);
            prop_assert!((1..=4).contains(&defaults.vcpu.value.get()));
            prop_assert!((1024..=8192).contains(&defaults.memory.value.mib()));
        }
    }
}
