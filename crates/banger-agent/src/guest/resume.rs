//! A guest that goes on from saved memory: what is renewed before the answer, and what behind it. What,
//! in which order and why is in docs/identity.md.

use super::keys::{self, Retired};
use super::machine::State;
use super::program::{Failure, Program, Turn, Work};
use super::{hooks, identity, moved, units};
use crate::root::Root;
use banger_proto::guest::message::Resumed;
use rustix::fs::{AtFlags, unlinkat};
use std::fs;

/// Saved by systemd for the next boot (systemd-random-seed.service(8)).
const RANDOM_SEED: &[u8] = b"/var/lib/systemd/random-seed";
const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// A resume whose rest is not through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsettled {
    pub(super) turn: Turn,
    /// Whether the guest became another sandbox.
    is_another: bool,
    /// Whether host keys are to be made.
    lacks_keys: bool,
}

/// What follows behind the answer.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) turn: Turn,
    /// A boot leaves nothing but keys to do.
    is_boot: bool,
    is_another: bool,
    retired: Option<Retired>,
    has_init: bool,
    name: String,
    id: String,
}

impl State {
    /// Has host keys made behind the answer to a boot's configuration.
    pub(super) fn lack_keys(&mut self, turn: Turn) {
        self.unsettled = Some(Unsettled {
            turn,
            is_another: true,
            lacks_keys: true,
        });
        self.rest = Some(Rest::of_boot(turn));
    }

    /// Makes the guest whoever it is now. Time and entropy are new already: ids are random.
    pub(super) fn renew(
        &mut self,
        root: &Root,
        turn: Turn,
        wanted: &Resumed,
        warnings: &mut Vec<String>,
    ) {
        let Resumed { mac, configure, .. } = wanted;
        let before = self.unsettled;
        let is_another = before.is_some_and(|before| before.is_another)
            || self.machine_id != Some(configure.machine_id);
        let mut retired = None;
        if is_another {
            moved::interrupt(root);
            let lacks_keys = before.is_some_and(|before| before.lacks_keys);
            retired = keys::retire(root, lacks_keys, warnings);
        }
        self.identify(root, configure, warnings);
        warnings.extend(self.boot_id.renew(root).err());
        let renewed = self.card.renew(configure.network.as_ref(), *mac);
        warnings.extend(renewed.err());
        self.unsettled = Some(Unsettled {
            turn,
            is_another,
            lacks_keys: retired.is_some(),
        });
        self.rest = Some(Rest {
            turn,
            is_boot: false,
            is_another,
            retired,
            has_init: self.has_init(),
            name: configure.hostname.clone(),
            id: identity::machine_id(configure.machine_id)
                .trim_end()
                .to_owned(),
        });
    }
}

impl Rest {
    /// Host keys are to be made after a boot.
    fn of_boot(turn: Turn) -> Self {
        Self {
            turn,
            is_boot: true,
            is_another: true,
            retired: Some(Retired::none_served()),
            has_init: false,
            name: String::new(),
            id: String::new(),
        }
    }
}

/// Two guests that boot from copies of one disk would add the same bytes to their kernels.
pub(super) fn forget_random_seed(root: &Root) {
    if let Ok((directory, name)) = root.open_parent(RANDOM_SEED) {
        // None is as good.
        let _ = unlinkat(directory, name, AtFlags::empty());
    }
}

impl Rest {
    /// Does it; returns what failed, one line each, or nothing if the guest has gone on once more.
    pub(super) fn finish(self, root: &Root, work: &Work<'_>) -> Option<Vec<String>> {
        let mut warnings = Vec::new();
        let mut note = |outcome: Result<(), Failure>| match outcome {
            Ok(()) => Some(()),
            Err(Failure::Interrupted) => None,
            Err(Failure::Failed(why)) => {
                warnings.push(why);
                Some(())
            }
        };
        if self.is_another {
            forget_random_seed(root);
        }
        let source = fs::read_to_string(CLOCK_SOURCE).unwrap_or_default();
        note(identity::doubt_clock(&source).map_or(Ok(()), |doubt| Err(Failure::Failed(doubt))))?;
        if let Some(retired) = self.retired {
            note(retired.replace(root, work))?;
        }
        if self.is_boot {
            return Some(warnings);
        }
        if self.has_init {
            note(restart_units(root, self.is_another, work))?;
        }
        let environment = [
            ("BANGER_NAME", self.name.as_str()),
            ("BANGER_ID", self.id.as_str()),
        ];
        for path in hooks::survey(root, hooks::DIRECTORY) {
            note(work.run(
                root,
                &Program {
                    path: &path,
                    arguments: &[],
                    environment: &environment,
                    limit: hooks::LIMIT,
                },
            ))?;
        }
        Some(warnings)
    }
}

fn restart_units(root: &Root, is_another: bool, work: &Work<'_>) -> Result<(), Failure> {
    let units = units::survey(root, is_another);
    if units.is_empty() {
        return Ok(());
    }
    let arguments = [&["try-restart"][..], &units].concat();
    let program = Program {
        path: units::SYSTEMCTL,
        arguments: &arguments,
        environment: &[],
        limit: units::LIMIT,
    };
    work.run(root, &program)
}
