//! How many more machines the host has room for, and what binds first: pure, over what was measured of it.
//!
//! | what                        | of memory                                   | of disk                                         |
//! |-----------------------------|---------------------------------------------|-------------------------------------------------|
//! | there is                    | what the kernel says is available           | what is free where the sandboxes are            |
//! | kept for others             | 1/16 of all, 256 MiB to 2 GiB, or as configured | 64 MiB                                          |
//! | promised to those that start| as much as one takes, for each              | the same                                        |
//! | one takes                   | the mean of those of its kind that run, once two do; before that an estimate | what its disks take, and its saved memory where that is its own |
//!
//! Memory that machines share is the host's file cache: the kernel counts it as available, and so it is counted
//! here. What the guests that run may still come to want is not kept for them: [`Fit::when_full`] says how many would fit
//! if each new one used all of its memory.

/// Bytes of one kind: all that there are, and those that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// All.
    pub total: u64,
    /// Those that nobody has.
    pub available: u64,
}

/// What is there. What could not be found out limits nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Host {
    /// Memory.
    pub memory: Option<Stock>,
    /// The file system of the sandboxes.
    pub disk: Option<Stock>,
    /// Machines that have begun to start, and have not yet what they will take.
    pub starting: u64,
    /// Memory to keep for others, in bytes; [`memory_kept`] of all where absent.
    pub reserve: Option<u64>,
}

/// How a new machine begins, which says what is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It boots.
    Booting,
    /// It goes on from saved memory, and shares what it does not write.
    Resuming,
}

/// What one more machine takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// Memory.
    pub memory: u64,
    /// Disk.
    pub disk: u64,
    /// Disk that the first of several takes besides: what they share.
    pub disk_once: u64,
    /// Memory that it may come to take: the guest's own, and the VMM's.
    pub memory_when_full: u64,
    /// Of how many machines the figure for memory is the mean; 0 for an estimate.
    pub measured: usize,
}

/// What binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The host's memory.
    Memory,
    /// Room on the file system of the sandboxes.
    Disk,
}

impl Limit {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

/// How many fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// By memory.
    pub by_memory: u64,
    /// By disk.
    pub by_disk: u64,
    /// By memory, if each new one used all that it may.
    pub when_full: u64,
    /// Memory that is kept for others, in bytes.
    pub memory_kept: u64,
    /// Disk that is kept for others, in bytes.
    pub disk_kept: u64,
}

impl Fit {
    /// How many fit, by what there is least of.
    #[must_use]
    pub fn machines(&self) -> u64 {
        self.by_memory.min(self.by_disk)
    }

    /// What there is least of.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        if self.by_disk < self.by_memory {
            Limit::Disk
        } else {
            Limit::Memory
        }
    }
}

const MIB: u64 = 1 << 20;
/// Room on the disk that is left to others.
const DISK_KEPT: u64 = 64 * MIB;
/// What QEMU takes beside its guest's memory.
const OF_THE_VMM: u64 = 48 * MIB;
/// What a guest that boots writes, whatever memory it has: kernel, init, services and their files.
const OF_A_BOOT: u64 = 240 * MIB;
/// What a guest writes that goes on from saved memory and does little. Measured, as the two above: Debian with systemd
/// and 512 MiB under emulation, 288 MiB in all where it booted, 101 to 103 MiB in each of four forks.
const OF_A_RESUME: u64 = 56 * MIB;
/// So many measured machines are a better word than an estimate.
const ENOUGH: usize = 2;

/// What one more machine takes of memory. `measured`: what machines of its kind that run cannot share or give back,
/// in bytes, of each.
#[must_use]
pub fn memory_need(begins: Begins, guest: u64, measured: &[u64]) -> Need {
    let memory_when_full = guest.saturating_add(OF_THE_VMM);
    let estimate = match begins {
        // The kernel's table of pages is a sixty-fourth of them.
        Begins::Booting => OF_A_BOOT + guest / 64,
        Begins::Resuming => OF_A_RESUME,
    };
    let count = u64::try_from(measured.len()).unwrap_or(u64::MAX);
    let sum = measured
        .iter()
        .fold(0, |sum: u64, one| sum.saturating_add(*one));
    let (memory, measured) = match sum.checked_div(count) {
        Some(mean) if measured.len() >= ENOUGH => (mean, measured.len()),
        _ => (estimate + OF_THE_VMM, 0),
    };
    Need {
        memory: memory.clamp(1, memory_when_full),
        memory_when_full,
        measured,
        ..Need::default()
    }
}

/// Memory that is left to others.
#[must_use]
pub fn memory_kept(total: u64) -> u64 {
    (total / 16).clamp(256 * MIB, 2048 * MIB)
}

/// How many more of this need fit.
#[must_use]
pub fn fit(host: &Host, need: &Need) -> Fit {
    let by_size = || host.memory.map_or(0, |memory| memory_kept(memory.total));
    let kept = host.reserve.unwrap_or_else(by_size);
    let memory = host.memory.map(|memory| memory.available);
    let disk = host.disk.map(|disk| disk.available);
    let by = |there: Option<u64>, kept: u64, once: u64, each: u64| {
        let Some(there) = there else { return u64::MAX };
        let promised = host.starting.saturating_mul(each);
        let left = there.saturating_sub(kept).saturating_sub(once);
        left.saturating_sub(promised) / each.max(1)
    };
    Fit {
        by_memory: by(memory, kept, 0, need.memory),
        by_disk: by(disk, DISK_KEPT, need.disk_once, need.disk),
        when_full: by(memory, kept, 0, need.memory_when_full),
        memory_kept: kept,
        disk_kept: DISK_KEPT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn host(memory: u64, disk: u64) -> Host {
        let stock = |available| {
            Some(Stock {
                total: 16 * GIB,
                available,
            })
        };
        Host {
            memory: stock(memory),
            disk: stock(disk),
            starting: 0,
            reserve: None,
        }
    }

    #[test]
    fn what_there_is_least_of_binds_and_some_is_left_to_others() {
        let need = Need {
            memory: 100 * MIB,
            disk: 10 * MIB,
            disk_once: 36 * MIB,
            memory_when_full: GIB,
            measured: 2,
        };
        let fits = fit(&host(5 * GIB, GIB), &need);
        // A sixteenth of 16 GiB is kept: 4 GiB are left.
        assert_eq!((fits.by_memory, fits.when_full), (40, 4));
        assert_eq!(fits.by_disk, (1024 - 64 - 36) / 10);
        assert_eq!((fits.machines(), fits.limit()), (40, Limit::Memory));
        let fits = fit(&host(5 * GIB, 200 * MIB), &need);
        assert_eq!((fits.machines(), fits.limit()), (10, Limit::Disk));
        let fits = fit(&host(GIB, 64 * MIB), &need);
        assert_eq!((fits.by_memory, fits.by_disk), (0, 0));
        let configured = Host {
            reserve: Some(0),
            ..host(GIB, GIB)
        };
        assert_eq!(fit(&configured, &need).by_memory, 10);
    }

    #[test]
    fn those_that_start_have_their_part_before_they_take_it() {
        let need = Need {
            memory: 100 * MIB,
            disk: 1,
            ..Need::default()
        };
        let mut host = host(5 * GIB, GIB);
        host.starting = 15;
        assert_eq!(fit(&host, &need).by_memory, 25);
        host.starting = 1000;
        assert_eq!(fit(&host, &need).by_memory, 0);
    }

    #[test]
    fn two_that_run_are_measured_and_before_that_it_is_estimated() {
        let guest = 512 * MIB;
        let one = memory_need(Begins::Resuming, guest, &[20 * MIB]);
        assert_eq!((one.memory, one.measured), (OF_A_RESUME + OF_THE_VMM, 0));
        let two = memory_need(Begins::Resuming, guest, &[20 * MIB, 40 * MIB]);
        assert_eq!((two.memory, two.measured), (30 * MIB, 2));
        let booting = memory_need(Begins::Booting, guest, &[]);
        assert!(booting.memory > one.memory);
        // None takes more than it has.
        let small = memory_need(Begins::Booting, 64 * MIB, &[]);
        assert_eq!(small.memory, 64 * MIB + OF_THE_VMM);
    }

    #[test]
    fn what_is_not_known_limits_nothing() {
        let need = memory_need(Begins::Booting, GIB, &[]);
        let fits = fit(&Host::default(), &need);
        assert_eq!(fits.machines(), u64::MAX);
    }

    proptest! {
        #[test]
        fn as_many_as_are_said_fit_and_no_more(
            memory in 0..1_u64 << 40, disk in 0..1_u64 << 40, each in 1..1_u64 << 34, on_disk in 1..1_u64 << 34,
            starting in 0..100_u64,
        ) {
            let host = Host { starting, ..host(memory, disk) };
            let need = Need { memory: each, disk: on_disk, ..Need::default() };
            let fits = fit(&host, &need);
            let takes = |count: u64| {
                let count = count + starting;
                count * each + fits.memory_kept <= memory && count * on_disk + fits.disk_kept <= disk
            };
            let machines = fits.machines();
            prop_assert!(machines == 0 || takes(machines));
            prop_assert!(!takes(machines + 1));
        }

        #[test]
        fn any_figures_give_a_number(figures: [u64; 6], measured: Vec<u64>) {
            let [total, available, starting, guest, disk, once] = figures;
            let stock = Some(Stock { total, available });
            let need = memory_need(Begins::Resuming, guest, &measured);
            let need = Need { disk, disk_once: once, ..need };
            let _ = fit(&Host { memory: stock, disk: stock, starting, reserve: None }, &need);
        }
    }
}
