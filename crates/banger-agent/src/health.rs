//! How the guest is, read from `/proc`.

use std::fs;

/// What `/proc/uptime` and `/proc/meminfo` say.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Vitals {
    /// Milliseconds since the kernel started.
    pub(crate) uptime_ms: u64,
    /// `MemAvailable` in KiB.
    pub(crate) memory_available_kib: u64,
    /// `MemTotal` in KiB.
    pub(crate) memory_total_kib: u64,
}

/// Reads them; what cannot be read is 0.
pub(crate) fn survey() -> Vitals {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    parse(&read("/proc/uptime"), &read("/proc/meminfo"))
}

fn parse(uptime: &str, meminfo: &str) -> Vitals {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.strip_prefix(':')?.split_whitespace().next());
        number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    Vitals {
        uptime_ms: milliseconds(uptime).unwrap_or(0),
        memory_available_kib: field("MemAvailable"),
        memory_total_kib: field("MemTotal"),
    }
}

/// `12.34 …` (hundredths of a second, proc_uptime(5)) in milliseconds.
fn milliseconds(uptime: &str) -> Option<u64> {
    let (seconds, rest) = uptime.split_once('.')?;
    let hundredths: u64 = rest.get(..2)?.parse().ok()?;
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(hundredths * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vitals_are_read_and_nonsense_is_zero() {
        let memory = "MemTotal:       1000 kB\nMemFree: 5 kB\nMemAvailable:    700 kB\n";
        assert_eq!(
            parse("12.34 11.00\n", memory),
            Vitals {
                uptime_ms: 12_340,
                memory_available_kib: 700,
                memory_total_kib: 1000
            }
        );
        for nonsense in ["", ".", "1.", "x.yz", "99999999999999999999.00", "1.é"] {
            assert_eq!(parse(nonsense, nonsense), Vitals::default(), "{nonsense}");
        }
    }
}
