//! What the guest uses, read from `/proc`.

use crate::health;
use banger_proto::guest::message::Usage;
use std::fs;
use std::path::Path;

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own are (Documentation/admin-guide/iostats.rst).
const SECTOR: u64 = 512;
/// How many disks or network cards are counted: a guest has four and one.
const MOST: usize = 64;

/// Reads it; what cannot be read is 0.
pub(crate) fn survey() -> Usage {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let vitals = health::survey();
    let (load_hundredths, threads) = load(&read("/proc/loadavg")).unwrap_or_default();
    let disks = disks(&read("/proc/diskstats"));
    let network = network(&read("/proc/net/dev"), is_card);
    Usage {
        uptime_ms: vitals.uptime_ms,
        memory_available_kib: vitals.memory_available_kib,
        memory_total_kib: vitals.memory_total_kib,
        load_hundredths,
        threads,
        read_bytes: disks.0,
        written_bytes: disks.1,
        received_bytes: network.0,
        sent_bytes: network.1,
    }
}

/// Whether an interface is a card: bridges and pairs of containers in the guest would count bytes twice.
fn is_card(name: &str) -> bool {
    !name.contains('/')
        && Path::new("/sys/class/net")
            .join(name)
            .join("device")
            .exists()
}

/// `0.20 0.18 0.12 1/80 11206` (proc_loadavg(5)): the first in hundredths, and the threads.
fn load(text: &str) -> Option<(u32, u32)> {
    let mut fields = text.split_ascii_whitespace();
    let (whole, part) = fields.next()?.split_once('.')?;
    let hundredths: u32 = part.get(..2)?.parse().ok()?;
    let whole: u32 = whole.parse().ok()?;
    let (_, threads) = fields.nth(2)?.split_once('/')?;
    let load = whole.saturating_mul(100).saturating_add(hundredths);
    Some((load, threads.parse().ok()?))
}

/// Bytes read from and written to all virtio disks; their partitions are parts of them.
fn disks(table: &str) -> (u64, u64) {
    sum(table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let letters = fields.next()?.strip_prefix("vd")?;
        if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let read: u64 = fields.nth(2)?.parse().ok()?;
        let written: u64 = fields.nth(3)?.parse().ok()?;
        Some((read.saturating_mul(SECTOR), written.saturating_mul(SECTOR)))
    }))
}

/// Bytes that the interfaces which count have received and sent (proc_pid_net(5), `dev`).
fn network(table: &str, counts: impl Fn(&str) -> bool) -> (u64, u64) {
    sum(table.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let mut fields = rest.split_ascii_whitespace();
        let received = fields.next()?.parse().ok()?;
        let sent = fields.nth(7)?.parse().ok()?;
        counts(name.trim()).then_some((received, sent))
    }))
}

fn sum(pairs: impl Iterator<Item = (u64, u64)>) -> (u64, u64) {
    pairs.take(MOST).fold((0, 0), |(a, b), (more_a, more_b)| {
        (
            u64::saturating_add(a, more_a),
            u64::saturating_add(b, more_b),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DISKS: &str = "   7       0 loop0 9 9 9 9 9 9 9 9 0 0 0\n \
        254       0 vda 100 5 2000 30 50 6 1000 20 0 40 50 0 0 0 0 1 2\n \
        254       1 vda1 90 5 1900 30 50 6 1000 20 0 40 50 0 0 0 0 1 2\n \
        254      16 vdb 1 0 8 0 2 0 16 0 0 0 0\n";
    const NETWORK: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n    \
        lo:     500       5    0    0    0     0          0         0      500       5    0\n  \
        eth0: 1234567    900    0    0    0     0          0         0    76543     800    0    0    0     0\n";

    #[test]
    fn disks_are_counted_without_their_partitions_and_cards_without_the_loopback() {
        assert_eq!(disks(DISKS), (2008 * 512, 1016 * 512));
        assert_eq!(network(NETWORK, |name| name != "lo"), (1_234_567, 76_543));
        assert_eq!(network(NETWORK, |_| false), (0, 0));
    }

    #[test]
    fn the_load_of_a_minute_and_the_threads_are_read() {
        assert_eq!(load("12.34 0.18 0.12 1/80 11206\n"), Some((1234, 80)));
        for nonsense in [
            "",
            "1",
            "1.5 0 0 1/80",
            "1.50 0 0 180",
            "1.é0 0 0 1/8",
            "x.00 0 0 1/8",
        ] {
            assert_eq!(load(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn counters_at_their_end_stay_there() {
        let most = u64::MAX;
        let table = format!("a: {most} 0 0 0 0 0 0 0 {most}\nb: 1 0 0 0 0 0 0 0 1\n");
        assert_eq!(network(&table, |_| true), (most, most));
        assert_eq!(
            disks(&format!("1 1 vda 1 1 {most} 1 1 1 {most}")),
            (most, most)
        );
    }

    proptest! {
        #[test]
        fn hostile_tables_never_panic(text in "([a-z0-9]{0,5}:? ?[0-9./é-]{0,24} ?\n?){0,30}", any in ".{0,200}") {
            for text in [text, any] {
                let _ = load(&text);
                let _ = disks(&text);
                let _ = network(&text, |_| true);
            }
        }
    }
}
