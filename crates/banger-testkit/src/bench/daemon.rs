//! The daemon's memory: what the kernel counts as resident.

use super::error::Error;
use super::figure::{Figure, Unit};
use super::statistics::Samples;
use super::{missing, process, repeat};
use crate::World;
use std::fs;

/// How many guests there are.
const GUESTS: u32 = 10;

/// Measures it.
///
/// # Errors
/// When the daemon or a guest does not come up.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::real();
    let mut idle = Vec::new();
    repeat("daemon.idle", count, |index| {
        if index > 0 {
            world.stop_daemon();
        }
        let _ = world.run(["ps"]).good();
        idle.push(resident(&world)?);
        Ok(())
    })?;
    let before = resident(&world)?;
    let guest = |index: u32| format!("g{index}");
    for index in 0..GUESTS {
        super::interrupt::check()?;
        eprintln!("daemon.per-guest: guest {} of {GUESTS}", index + 1);
        let name = guest(index);
        let options = ["-d", "--name", &name, "--vcpu", "1", "--memory", "128MiB"];
        let _ = world.run(crate::checks::run(&options)).good();
    }
    let mut with_guests = Vec::new();
    for index in (0..GUESTS).cycle().take(count.max(GUESTS as usize)) {
        super::interrupt::check()?;
        let arguments = ["vm", "exec", &guest(index), "--", "true"];
        process::run_for_output(&mut world.banger(arguments))?;
        with_guests.push(resident(&world)?);
    }
    // The first round makes what each link keeps.
    let with_guests = with_guests.split_off(with_guests.len().saturating_sub(count));
    figures(idle, before, &with_guests)
}

fn figures(idle: Vec<f64>, before: f64, with_guests: &[f64]) -> Result<Vec<Figure>, Error> {
    let idle = missing("daemon.idle", Samples::new(idle))?;
    let share = |now: &f64| (now - before) / f64::from(GUESTS);
    let shares = with_guests.iter().map(share).collect();
    let per_guest = missing("daemon.per-guest", Samples::new(shares))?;
    let mib = Unit::Mebibytes;
    Ok(vec![
        Figure::new("daemon.idle", mib, &idle, None).with_goal(None, Some(30.0)),
        Figure::new("daemon.per-guest", mib, &per_guest, None).with_goal(None, Some(1.0)),
    ])
}

/// The daemon's resident memory in MiB.
pub(super) fn resident(world: &World) -> Result<f64, Error> {
    let pid = world.daemon();
    resident_of(pid.ok_or_else(|| Error::wrong("the daemon is not there"))?)
}

/// A process's resident memory in MiB.
pub(super) fn resident_of(pid: u32) -> Result<f64, Error> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.map_err(Error::io("read a process's status"))?;
    let kib = resident_kib(&status).ok_or_else(|| Error::wrong("a process without VmRSS"))?;
    Ok(f64::from(kib) / 1024.0)
}

/// `VmRSS` of proc_pid_status(5).
fn resident_kib(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_size_is_read_from_the_status() {
        let status = "Name:\tbangerd\nVmHWM:\t  20000 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(resident_kib(status), Some(10_240));
        assert_eq!(resident_kib("Name:\tbangerd\n"), None);
    }

    #[test]
    fn a_guest_s_share_is_a_tenth_of_what_came() {
        let figures = figures(vec![12.0], 12.0, &[17.0, 17.0]).expect("measured");
        let per_guest: serde_json::Value =
            serde_json::from_str(&crate::bench::figure::json(&figures)).expect("JSON");
        assert_eq!(per_guest[1]["p50"], 0.5);
        assert_eq!(per_guest[1]["ok"], true);
    }
}
