//! Rates from counters. Pure: two answers of the daemon in, what happened between them out.

use banger_proto::owner::stats::{NetworkStats, Stats};
use serde::Serialize;
use std::collections::HashMap;

/// One machine over an interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What the daemon answered.
    #[serde(flatten)]
    pub stats: Stats,
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
}

/// What happened in an interval. What is not known is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// The interval in milliseconds: between two looks, or the whole run.
    pub over_ms: u64,
    /// Processor time in hundredths of one processor of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Bytes read from the host's disks, each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_rate: Option<u64>,
    /// Bytes written, each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_rate: Option<u64>,
    /// Bytes that the guest received, each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_rate: Option<u64>,
    /// Bytes that the guest sent, each second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_rate: Option<u64>,
}

/// Bytes over the network, and whether only the guest says so.
#[must_use]
pub fn network(stats: &Stats) -> Option<(NetworkStats, bool)> {
    let said = || Some((stats.guest.as_ref()?.usage.as_ref()?.network, true));
    stats.network.map(|counted| (counted, false)).or_else(said)
}

/// Compares with an earlier answer about the same run; the first is taken over the whole run.
#[must_use]
pub fn measure(before: Option<&Stats>, now: Stats) -> Measured {
    let rates = rates(before, &now);
    Measured { stats: now, rates }
}

fn rates(before: Option<&Stats>, now: &Stats) -> Rates {
    let Some(vmm) = &now.vmm else {
        return Rates::default();
    };
    let same_run = |before: &&Stats| {
        let run = before.vmm.as_ref().map(|vmm| (vmm.pid, vmm.started_ms));
        run == Some((vmm.pid, vmm.started_ms)) && before.taken_ms < now.taken_ms
    };
    let before = before.filter(same_run);
    let since = before.map_or(vmm.started_ms, |before| before.taken_ms);
    let over_ms = now.taken_ms.saturating_sub(since);
    // Counters of a guest, and those of a TAP that it got anew, may go back: that is no rate.
    let rate = |now: Option<u64>, count: &dyn Fn(&Stats) -> Option<u64>| {
        let then = match before {
            Some(before) => count(before)?,
            None => 0,
        };
        let bytes = u128::from(now?.checked_sub(then)?);
        let each_second = (bytes * 1000).checked_div(u128::from(over_ms))?;
        u64::try_from(each_second).ok()
    };
    let of_vmm = |stats: &Stats| stats.vmm.clone();
    let bytes = network(now);
    let of_network = |stats: &Stats| {
        let same_word = |(_, said): &(_, bool)| Some(*said) == bytes.map(|(_, said)| said);
        network(stats).filter(same_word).map(|(bytes, _)| bytes)
    };
    let then_cpu = before.and_then(of_vmm).map_or(0, |vmm| vmm.cpu_ms);
    let cpu_ms = vmm.cpu_ms.checked_sub(then_cpu);
    Rates {
        over_ms,
        cpu_percent: cpu_ms
            .filter(|_| over_ms > 0)
            .map(|cpu| percent(cpu, over_ms)),
        read_rate: rate(vmm.read_bytes, &|stats| of_vmm(stats)?.read_bytes),
        written_rate: rate(vmm.written_bytes, &|stats| of_vmm(stats)?.written_bytes),
        received_rate: rate(of_network(now).map(|b| b.received_bytes), &|stats| {
            of_network(stats).map(|b| b.received_bytes)
        }),
        sent_rate: rate(of_network(now).map(|b| b.sent_bytes), &|stats| {
            of_network(stats).map(|b| b.sent_bytes)
        }),
    }
}

/// With one digit behind the point.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of processor time have far less than 52 bits, and a digit is shown"
)]
fn percent(cpu_ms: u64, over_ms: u64) -> f64 {
    (cpu_ms as f64 * 1000.0 / over_ms as f64).round() / 10.0
}

/// What `top` remembers from one look to the next.
#[derive(Debug, Default)]
pub struct Looks(HashMap<String, Stats>);

impl Looks {
    /// Compares a look with the one before.
    pub fn next(&mut self, now: Vec<Stats>) -> Vec<Measured> {
        let before = std::mem::take(&mut self.0);
        self.0 = now
            .iter()
            .map(|one| (one.id.clone(), one.clone()))
            .collect();
        let with_before = |one: Stats| measure(before.get(&one.id), one);
        now.into_iter().map(with_before).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
