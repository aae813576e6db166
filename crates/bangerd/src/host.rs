//! The host as the daemon sees it: processors, memory, room on a file system, time, randomness.

use banger_model::capacity::Stock;
use banger_model::defaults::HostSize;
use banger_proto::guest::hello::UnixTime;
use banger_proto::owner::time::UtcTime;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Processors that this process may use and physical memory; 0 where it cannot be found out.
#[must_use]
pub fn size() -> HostSize {
    let processors = std::thread::available_parallelism()
        .ok()
        .and_then(|count| u32::try_from(count.get()).ok())
        .unwrap_or(0);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    HostSize {
        processors,
        memory_mib: memory_kib(&meminfo, "MemTotal:").unwrap_or(0) / 1024,
    }
}

/// Memory of the host: all, and what the kernel says that new programs may have; its file cache is a part of
/// that.
#[must_use]
pub fn memory() -> Option<Stock> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |line| memory_kib(&meminfo, line).map(|kib| kib.saturating_mul(1024));
    Some(Stock {
        total: bytes("MemTotal:")?,
        available: bytes("MemAvailable:")?,
    })
}

/// What `/proc/cpuinfo` says; nothing where it cannot be read.
#[must_use]
pub fn processors() -> String {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}

/// A line of `/proc/meminfo` (proc_meminfo(5)).
fn memory_kib(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Bytes of the file system at `path` that an ordinary user may still write and that it has in
/// all, or `None` when the path is not there.
#[must_use]
pub fn room(path: &Path) -> Option<Room> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What may still be written.
    pub free: u64,
    /// All that there is.
    pub total: u64,
}

/// Now, as it is written into files.
#[must_use]
pub fn utc_now() -> UtcTime {
    let now = now();
    UtcTime::from_ms(now.seconds.saturating_mul(1000) + u64::from(now.nanoseconds / 1_000_000))
}

/// Now.
#[must_use]
pub fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime {
        seconds: since.as_secs(),
        nanoseconds: since.subsec_nanos(),
    }
}

/// Random bytes from the kernel.
///
/// # Errors
/// When the kernel gives none, which Linux does only without `getrandom(2)`.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Resident memory of this process in KiB, from `/proc/self/statm` (proc_pid_statm(5)).
#[must_use]
pub fn own_memory_kib() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * (rustix::param::page_size() as u64 / 1024)
}

/// Bytes that a sparse file really takes; 0 when it is not there.
#[must_use]
pub fn used(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // st_blocks counts 512 bytes whatever the file system's blocks are (stat(3type)).
    std::fs::metadata(path).map_or(0, |found| found.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_line_is_found_and_anything_else_is_unknown() {
        assert_eq!(
            memory_kib("MemTotal:       16384 kB\nMemFree: 1 kB\n", "MemTotal:"),
            Some(16384)
        );
        assert_eq!(memory_kib("MemTotal: lots\n", "MemTotal:"), None);
        assert_eq!(memory_kib("", "MemTotal:"), None);
    }
}
