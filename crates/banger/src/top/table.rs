//! The rows of the live table: rates where `vm stats` has totals.

use super::Order;
use crate::show::stats::{cpu, dash, guest_memory, marked, share, uptime};
use crate::show::table::{Table, Tone};
use crate::show::words::show_bytes;
use crate::stats::{Measured, network};
use std::cmp::Ordering;

/// The busiest first; those alike by name.
pub(super) fn sort(rows: &mut [Measured], order: Order) {
    let memory = |row: &Measured| row.stats.vmm.as_ref().map(|vmm| vmm.resident_bytes);
    rows.sort_by(|one, two| {
        let busier = match order {
            Order::Cpu => {
                let cpu = |row: &Measured| row.rates.cpu_percent.unwrap_or(-1.0);
                cpu(two).partial_cmp(&cpu(one)).unwrap_or(Ordering::Equal)
            }
            Order::Memory => memory(two).cmp(&memory(one)),
        };
        busier.then_with(|| one.stats.name.cmp(&two.stats.name))
    });
}

/// The table.
pub(super) fn table(rows: &[Measured]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "CPU",
        "MEMORY",
        "OWN",
        "GUEST MEMORY",
        "READ/S",
        "WRITTEN/S",
        "RECEIVED/S",
        "SENT/S",
        "LOAD",
        "UPTIME",
    ]);
    for Measured { stats, rates } in rows {
        let bytes = |rate: Option<u64>| (rate.map_or_else(dash, show_bytes), Tone::Plain);
        let said = network(stats).is_some_and(|(_, said)| said);
        let over_network = |rate: Option<u64>| {
            let text = rate.map_or_else(dash, |rate| marked(show_bytes(rate), said));
            (text, Tone::Plain)
        };
        let resident = stats.vmm.as_ref().map(|vmm| vmm.resident_bytes);
        let usage = stats.guest.as_ref().and_then(|guest| guest.usage.as_ref());
        let load = usage.map(|usage| usage.load_hundredths);
        let load = load.map_or_else(dash, |load| format!("{}.{:02}", load / 100, load % 100));
        table.row([
            (stats.name.clone(), Tone::Plain),
            cpu(rates.cpu_percent, stats.vcpu),
            bytes(resident),
            (share(stats, |memory| memory.own_bytes), Tone::Plain),
            guest_memory(stats),
            bytes(rates.read_rate),
            bytes(rates.written_rate),
            over_network(rates.received_rate),
            over_network(rates.sent_rate),
            (load, Tone::Plain),
            (uptime(stats), Tone::Plain),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::measure;
    use crate::stats::tests::running;

    fn rows() -> Vec<Measured> {
        let mut big = running("big", 20_000, 0);
        big.vmm.as_mut().expect("runs").resident_bytes = 1 << 30;
        let all = [
            running("idle", 20_000, 0),
            big,
            running("busy", 20_000, 20_000),
        ];
        all.into_iter().map(|one| measure(None, one)).collect()
    }

    fn names(order: Order) -> Vec<String> {
        let mut rows = rows();
        sort(&mut rows, order);
        rows.into_iter().map(|row| row.stats.name).collect()
    }

    #[test]
    fn the_busiest_come_first_and_those_alike_by_name() {
        assert_eq!(names(Order::Cpu), ["busy", "big", "idle"]);
        assert_eq!(names(Order::Memory), ["big", "busy", "idle"]);
    }

    #[test]
    fn rates_are_told_with_whose_word_they_are() {
        insta::assert_snapshot!(table(&rows()).render(false), @r"
        NAME  CPU     MEMORY  OWN    GUEST MEMORY  READ/S    WRITTEN/S  RECEIVED/S  SENT/S  LOAD  UPTIME
        idle  0.0%    100MiB  30MiB  64MiB/512MiB  102.3KiB  0B         200B*       100B*   0.50  10s
        big   0.0%    1GiB    30MiB  64MiB/512MiB  102.3KiB  0B         200B*       100B*   0.50  10s
        busy  200.0%  100MiB  30MiB  64MiB/512MiB  102.3KiB  1.9MiB     200B*       100B*   0.50  10s
        ");
    }
}
