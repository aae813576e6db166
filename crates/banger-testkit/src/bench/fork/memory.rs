//! What each of a hundred guests of one template has for itself, and that each of them answers.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::statistics::Samples;
use super::super::{interrupt, missing};
use super::{begin, command_in_each, end};
use crate::World;
use std::fs;

const GUESTS: usize = 100;
/// At once, where each runs a command.
const AT_ONCE: usize = 4;

pub(super) fn measure(world: &World) -> Result<Vec<Figure>, Error> {
    let names: Vec<String> = (0..GUESTS).map(|index| format!("g{index}")).collect();
    for (index, name) in names.iter().enumerate() {
        interrupt::check()?;
        eprintln!("fork.memory: guest {} of {GUESTS}", index + 1);
        begin(world, name)?;
    }
    let own = |names: &[String]| -> Result<Samples, Error> {
        let each = names.iter().map(|name| own_memory(world, name));
        missing("own memory", Samples::new(each.collect::<Result<_, _>>()?))
    };
    let idle = own(&names)?;
    for some in names.chunks(AT_ONCE) {
        command_in_each(world, some)?;
    }
    let used = own(&names)?;
    end(world, &names)?;
    let mib = Unit::Mebibytes;
    Ok(vec![
        Figure::new("fork.memory", mib, &idle, None).with_goal(None, Some(35.0)),
        Figure::new("fork.memory.used", mib, &used, None),
    ])
}

/// What the VMM has that no other process has, in MiB.
fn own_memory(world: &World, name: &str) -> Result<f64, Error> {
    let pid = world.show(name)["run"]["pid"].as_u64();
    let pid = pid.ok_or_else(|| Error::wrong(format!("{name} does not run")))?;
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let rollup = rollup.map_err(Error::io("read a VMM's memory"))?;
    let kib = own_kib(&rollup).ok_or_else(|| Error::wrong("a VMM without memory"))?;
    Ok(f64::from(kib) / 1024.0)
}

/// `Private_Clean` and `Private_Dirty` of proc_pid_smaps(5).
fn own_kib(rollup: &str) -> Option<u32> {
    let field = |name: &str| -> Option<u32> {
        let value = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(field("Private_Clean:")? + field("Private_Dirty:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_what_is_private() {
        let rollup = "00400000-7fff [rollup]\nRss:  90000 kB\nPrivate_Clean:    1024 kB\nPrivate_Dirty:   20480 kB\n";
        assert_eq!(own_kib(rollup), Some(21504));
        assert_eq!(own_kib("Rss: 1 kB\n"), None);
    }
}
