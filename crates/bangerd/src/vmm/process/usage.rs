//! What a process takes of the host, read from `/proc/PID` without waiting for the process.

use super::{ProcessIdentity, boot_id, none_if_gone, read_stat};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::io;
use std::time::Duration;

/// What a process has taken since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When this was read, since the host's boot.
    pub taken: Duration,
    /// When the process was started, since the host's boot.
    pub started: Duration,
    /// Processor time of all its threads.
    pub cpu: Duration,
    /// Bytes of memory that it has now.
    pub resident: u64,
    /// Whose that memory is; unknown where the kernel does not let it be read.
    pub memory: Option<Memory>,
    /// Bytes that it read from storage and caused to be written there; unknown where the kernel does not
    /// let them be read.
    pub io: Option<Io>,
}

/// Memory of a process in bytes, by whether other processes have the same pages mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In no other process.
    pub own: u64,
    /// The part of [`Self::own`] that it has written.
    pub own_dirty: u64,
    /// In others, too.
    pub shared: u64,
    /// Its own, and of each shared page its share.
    pub proportional: u64,
}

/// Bytes from and to storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Io {
    /// Read.
    pub read: u64,
    /// Written.
    pub written: u64,
}

/// Time since the host's boot, sleep included: the clock of a process's start time.
#[must_use]
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl ProcessIdentity {
    /// What this very process takes; `None` when it has ended.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn usage(&self) -> io::Result<Option<Usage>> {
        let file = |name| none_if_gone(fs::read_to_string(format!("/proc/{}/{name}", self.pid)));
        let pages = file("statm")?;
        // Another user's process, or one that may not be traced, hides it.
        let io = file("io").ok().flatten();
        let memory = file("smaps_rollup").ok().flatten();
        let taken = since_boot();
        // Last: a pid whose process is the same now has been that process's all the while.
        let stat = read_stat(self.pid)?;
        let same =
            |stat: &super::stat::Stat| !stat.has_ended() && stat.start_time == self.start_time;
        let (Some(stat), true) = (stat.filter(same), boot_id()? == self.boot_id) else {
            return Ok(None);
        };
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        let resident = pages.as_deref().and_then(resident_pages).unwrap_or(0);
        Ok(Some(Usage {
            taken,
            started: ticks(stat.start_time),
            cpu: ticks(stat.cpu_ticks),
            resident: resident.saturating_mul(page),
            memory: memory.as_deref().and_then(parse_memory),
            io: io.as_deref().and_then(parse_io),
        }))
    }
}

/// Clock ticks as time; more than five hundred million years stay that.
fn ticks(count: u64) -> Duration {
    let second = rustix::param::clock_ticks_per_second().max(1);
    let part = (count % second).saturating_mul(1_000_000_000) / second;
    Duration::new(count / second, u32::try_from(part).unwrap_or(0))
}

/// The second field of `/proc/PID/statm` (proc_pid_statm(5)).
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The value of a line `name: value`.
fn field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    let lines = text.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next().map(str::trim)
}

/// `/proc/PID/smaps_rollup` (proc_pid_smaps(5)).
fn parse_memory(text: &str) -> Option<Memory> {
    let bytes = |name| {
        let kib: u64 = field(text, name)?.strip_suffix(" kB")?.parse().ok()?;
        Some(kib.saturating_mul(1024))
    };
    let own_dirty = bytes("Private_Dirty")?;
    Some(Memory {
        own: bytes("Private_Clean")?.saturating_add(own_dirty),
        own_dirty,
        shared: bytes("Shared_Clean")?.saturating_add(bytes("Shared_Dirty")?),
        proportional: bytes("Pss")?,
    })
}

/// `/proc/PID/io` (proc_pid_io(5)).
fn parse_io(text: &str) -> Option<Io> {
    let field = |name| field(text, name)?.parse().ok();
    Some(Io {
        read: field("read_bytes")?,
        written: field("write_bytes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IO: &str = "rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 4096\n\
        write_bytes: 8192\ncancelled_write_bytes: 1\n";

    #[test]
    fn bytes_of_storage_are_read_and_a_part_of_them_is_none() {
        let io = Io {
            read: 4096,
            written: 8192,
        };
        assert_eq!(parse_io(IO), Some(io));
        for text in [
            "",
            "read_bytes: 1\n",
            "read_bytes: -1\nwrite_bytes: 2\n",
            "read_bytes 1\nwrite_bytes: 2",
        ] {
            assert_eq!(parse_io(text), None, "{text}");
        }
    }

    #[test]
    fn own_and_shared_memory_are_told_apart_and_a_part_of_it_is_none() {
        let text = "5572-7ffc ---p 00000000 00:00 0    [rollup]\nRss:    108 kB\nPss:   60 kB\n\
            Pss_Dirty:    9 kB\nShared_Clean:  90 kB\nShared_Dirty:   2 kB\nPrivate_Clean:   4 kB\n\
            Private_Dirty:    12 kB\n";
        let memory = Memory {
            own: 16 << 10,
            own_dirty: 12 << 10,
            shared: 92 << 10,
            proportional: 60 << 10,
        };
        assert_eq!(parse_memory(text), Some(memory));
        assert_eq!(parse_memory(&text.replace("Private_Clean:", "")), None);
        assert_eq!(parse_memory(&text.replace("12 kB", "12")), None);
    }

    #[test]
    fn pages_are_the_second_field() {
        assert_eq!(resident_pages("100 42 7 1 0 9 0\n"), Some(42));
        assert_eq!(resident_pages("100"), None);
    }

    #[test]
    fn ticks_become_time_and_never_overflow() {
        let second = rustix::param::clock_ticks_per_second();
        assert_eq!(ticks(second * 3), Duration::from_secs(3));
        assert_eq!(ticks(second / 2), Duration::from_secs(1) / 2);
        assert!(ticks(u64::MAX) > Duration::from_secs(u64::MAX / second - 1));
    }

    proptest! {
        #[test]
        fn hostile_texts_never_panic(text in "((read|write)_bytes:? ?-?[0-9]{0,30}\n?){0,4}", any in ".{0,100}") {
            for text in [text, any] {
                let _ = (parse_io(&text), parse_memory(&text), resident_pages(&text));
            }
        }
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_process_that_works_takes_time_and_memory_and_one_that_ended_nothing() {
            let own = ProcessIdentity::of(std::process::id()).expect("alive");
            let first = own.usage().expect("read").expect("alive");
            assert!(first.resident > 0 && first.started <= first.taken);
            let memory = first.memory.expect("one's own is readable");
            assert!(
                memory.own >= memory.own_dirty && memory.own_dirty > 0,
                "{memory:?}"
            );
            assert!(
                memory.proportional <= memory.own + memory.shared,
                "{memory:?}"
            );
            let mut last = first;
            let until = std::time::Instant::now() + Duration::from_secs(20);
            while last.cpu == first.cpu && std::time::Instant::now() < until {
                last = own.usage().expect("read").expect("alive");
            }
            assert!(last.cpu > first.cpu && last.taken > first.taken, "{last:?}");
            let other = ProcessIdentity {
                start_time: own.start_time + 1,
                ..own
            };
            assert_eq!(
                other.usage().expect("read"),
                None,
                "a later process of this pid"
            );
        }
    }
}
