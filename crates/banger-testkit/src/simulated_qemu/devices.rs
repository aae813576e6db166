//! What is saved of a simulated guest's devices, in a form of its own.

use banger_agent::Beginning;
use std::path::Path;

/// The first words.
const FORM: &str = "simulated-qemu devices 1";

/// What goes on.
pub(super) struct Saved {
    pub(super) hostname: String,
    pub(super) beginning: Beginning,
    /// That of the memory and the disks that belong to it.
    pub(super) moment: u64,
}

impl Saved {
    pub(super) fn write(&self, into: &Path) -> Result<(), String> {
        let Beginning { boot, configured } = self.beginning;
        let (name, boot) = (&self.hostname, u128::from_le_bytes(boot));
        let moment = self.moment;
        let text = format!("{FORM}\n{name}\n{boot:032x}\n{configured}\n{moment:016x}\n");
        std::fs::write(into, text)
            .map_err(|error| format!("cannot write {}: {error}", into.display()))
    }

    pub(super) fn read(from: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(from)
            .map_err(|error| format!("cannot read {}: {error}", from.display()))?;
        let lines: Vec<&str> = text.lines().collect();
        let [FORM, hostname, boot, configured, moment] = lines.as_slice() else {
            return Err("not a migration stream".into());
        };
        let boot = u128::from_str_radix(boot, 16);
        let (Ok(boot), Ok(moment)) = (boot, u64::from_str_radix(moment, 16)) else {
            return Err("not a migration stream: no number".into());
        };
        Ok(Self {
            hostname: (*hostname).to_owned(),
            beginning: Beginning {
                boot: boot.to_le_bytes(),
                configured: *configured == "true",
            },
            moment,
        })
    }
}
