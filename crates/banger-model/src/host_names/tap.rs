//! TAPs are numbered, and their names follow from the number.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a TAP: 1 to 1000.
///
/// A bridge takes 1024 ports (`BR_MAX_PORTS`, net/bridge/br_private.h); the rest is left for the
/// probe's TAP and for what an administrator adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct TapSlot(u16);

/// The number is not 1 to 1000.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no TAP {given}: give 1 to 1000")]
pub struct BadSlot {
    /// What was given.
    given: u16,
}

/// What every TAP's name begins with.
const PREFIX: &str = "tap-fc-";

impl TapSlot {
    /// The largest number.
    pub const MAX: u16 = 1000;

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The interface's name: `tap-fc-` and the number, at most 11 bytes.
    #[must_use]
    pub fn interface(self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The slot that an interface's name stands for; none for any other text, `tap-fc-01` included.
    #[must_use]
    pub fn of_interface(name: &str) -> Option<Self> {
        let number = name.strip_prefix(PREFIX)?;
        let slot = Self::try_from(number.parse::<u16>().ok()?).ok()?;
        (slot.interface() == name).then_some(slot)
    }

    /// All slots, lowest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (1..=Self::MAX).map(Self)
    }
}

/// Whether an interface has a name that the policy takes for a guest's: `tap-fc-` and anything.
#[must_use]
pub fn is_tap_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

impl TryFrom<u16> for TapSlot {
    type Error = BadSlot;
    fn try_from(number: u16) -> Result<Self, BadSlot> {
        if (1..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(BadSlot { given: number })
        }
    }
}

impl From<TapSlot> for u16 {
    fn from(slot: TapSlot) -> Self {
        slot.0
    }
}

impl fmt::Display for TapSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{INTERFACE_NAME_MAX, PROBE_TAP};
    use super::*;

    #[test]
    fn every_slot_has_a_name_of_its_own_that_fits_and_reads_back() {
        assert_eq!(TapSlot::all().count(), 1000);
        for slot in TapSlot::all() {
            let name = slot.interface();
            assert!(
                name.len() <= INTERFACE_NAME_MAX && is_tap_name(&name),
                "{name}"
            );
            assert_eq!(TapSlot::of_interface(&name), Some(slot));
        }
    }

    #[test]
    fn other_names_are_no_slot() {
        let names = [
            "tap-fc-0",
            "tap-fc-01",
            "tap-fc-1001",
            "tap-fc-+1",
            "tap-fc-",
            "tap-fc-65537",
            "tap0",
            PROBE_TAP,
        ];
        for name in names {
            assert_eq!(TapSlot::of_interface(name), None, "{name}");
        }
        assert!(PROBE_TAP.len() <= INTERFACE_NAME_MAX && is_tap_name(PROBE_TAP));
    }

    #[test]
    fn numbers_outside_are_refused() {
        for number in [0, 1001, u16::MAX] {
            assert!(TapSlot::try_from(number).is_err());
        }
    }
}
