//! What machines take.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use crate::stats::{Measured, network};
use banger_proto::owner::stats::{MemoryShares, Stats};

/// Stands behind what only the guest says.
const SAID: char = '*';

/// What stands below a table in which [`SAID`] occurs.
pub const SAID_NOTE: &str = "* as the guest itself says";

/// Whether a figure in the table is a guest's word that its heading does not say.
#[must_use]
pub fn is_said(all: &[Measured]) -> bool {
    all.iter()
        .any(|one| network(&one.stats).is_some_and(|(_, said)| said))
}

/// The table of `vm stats`: bytes since the start of the run.
#[must_use]
pub fn totals(all: &[Measured]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        "CPU",
        "MEMORY",
        "OWN",
        "SHARED",
        "GUEST MEMORY",
        "DISK",
        "READ",
        "WRITTEN",
        "RECEIVED",
        "SENT",
        "UPTIME",
    ]);
    for Measured { stats, rates } in all {
        let vmm = stats.vmm.as_ref();
        let bytes = network(stats);
        let [received, sent] = [
            bytes.map(|(bytes, said)| (bytes.received_bytes, said)),
            bytes.map(|(bytes, said)| (bytes.sent_bytes, said)),
        ]
        .map(|count| count.map_or_else(dash, |(count, said)| marked(show_bytes(count), said)));
        table.row([
            (stats.name.clone(), Tone::Plain),
            (stats.state.to_string(), super::sandbox::tone(stats.state)),
            cpu(rates.cpu_percent, stats.vcpu),
            (
                vmm.map_or_else(dash, |vmm| show_bytes(vmm.resident_bytes)),
                Tone::Plain,
            ),
            (share(stats, |memory| memory.own_bytes), Tone::Plain),
            (share(stats, |memory| memory.shared_bytes), Tone::Plain),
            guest_memory(stats),
            (show_bytes(stats.disk_used), Tone::Plain),
            (
                vmm.and_then(|vmm| vmm.read_bytes)
                    .map_or_else(dash, show_bytes),
                Tone::Plain,
            ),
            (
                vmm.and_then(|vmm| vmm.written_bytes)
                    .map_or_else(dash, show_bytes),
                Tone::Plain,
            ),
            (received, Tone::Plain),
            (sent, Tone::Plain),
            (uptime(stats), Tone::Plain),
        ]);
    }
    table
}

/// What is not known.
pub(crate) fn dash() -> String {
    "-".into()
}

/// A part of a VMM's memory.
pub(crate) fn share(stats: &Stats, of: impl Fn(&MemoryShares) -> u64) -> String {
    let memory = stats.vmm.as_ref().and_then(|vmm| vmm.memory.as_ref());
    memory.map_or_else(dash, |memory| show_bytes(of(memory)))
}

/// A figure, marked where only the guest says it.
pub(crate) fn marked(mut text: String, said: bool) -> String {
    text.extend(said.then_some(SAID));
    text
}

/// Of one processor: a machine with four may take 400 %.
pub(crate) fn cpu(percent: Option<f64>, vcpu: u32) -> (String, Tone) {
    let busy = percent.is_some_and(|percent| percent >= 90.0 * f64::from(vcpu));
    let tone = if busy { Tone::Warning } else { Tone::Plain };
    (
        percent.map_or_else(dash, |percent| format!("{percent:.1}%")),
        tone,
    )
}

/// Used and all of it; or why the guest says nothing.
pub(crate) fn guest_memory(stats: &Stats) -> (String, Tone) {
    match (&stats.guest, &stats.guest_trouble) {
        (Some(guest), _) => {
            let used = show_bytes(guest.memory_used_bytes);
            (
                format!("{used}/{}", show_bytes(guest.memory_total_bytes)),
                Tone::Plain,
            )
        }
        (None, Some(_)) => ("no answer".into(), Tone::Warning),
        (None, None) => (dash(), Tone::Plain),
    }
}

/// Since its VMM was started.
pub(crate) fn uptime(stats: &Stats) -> String {
    let up = |started: u64| age(0, stats.taken_ms.saturating_sub(started) / 1000);
    stats
        .vmm
        .as_ref()
        .map_or_else(dash, |vmm| up(vmm.started_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::measure;
    use crate::stats::tests::running;
    use banger_model::SandboxState;

    fn sample() -> Vec<Measured> {
        let mut silent = running("db", 20_000, 19_000);
        silent.guest = None;
        silent.guest_trouble = Some("its agent did not answer within 1 s".into());
        let mut off = running("off", 20_000, 0);
        (off.state, off.vmm, off.guest) = (SandboxState::Stopped, None, None);
        let all = [running("web", 20_000, 5000), silent, off];
        all.into_iter().map(|one| measure(None, one)).collect()
    }

    #[test]
    fn totals_are_told_with_what_is_only_the_guests_word() {
        insta::assert_snapshot!(totals(&sample()).render(false), @r"
        NAME  STATE    CPU     MEMORY  OWN    SHARED  GUEST MEMORY  DISK  READ  WRITTEN  RECEIVED  SENT    UPTIME
        web   running  50.0%   100MiB  30MiB  70MiB   64MiB/512MiB  3MiB  1MiB  4.7MiB   1.9KiB*   1000B*  10s
        db    running  190.0%  100MiB  30MiB  70MiB   no answer     3MiB  1MiB  18.1MiB  -         -       10s
        off   stopped  -       -       -      -       -             3MiB  -     -        -         -       -
        ");
        assert!(is_said(&sample()));
    }
}
