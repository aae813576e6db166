//! The part of an address that tells guests of one subnet apart.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

use super::Subnet;

/// A guest's address less its network's: 2 to 65533, as far as the subnet reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct HostPart(u16);

/// The number is the network's, the bridge's, the probe's or the broadcast's in every subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no guest has host part {given}: give 2 to 65533")]
pub struct BadHostPart {
    /// What was given.
    given: u16,
}

impl HostPart {
    /// The largest that a guest can have, in the widest subnet (a /16).
    pub const MAX: u16 = 65_533;

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The last before the broadcast address, for a prefix of 16 to 29.
    pub(super) const fn highest(prefix: u8) -> Self {
        Self((u16::MAX >> (prefix - 16)) - 1)
    }
}

impl TryFrom<u16> for HostPart {
    type Error = BadHostPart;
    fn try_from(number: u16) -> Result<Self, BadHostPart> {
        if (2..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(BadHostPart { given: number })
        }
    }
}

impl From<HostPart> for u16 {
    fn from(part: HostPart) -> Self {
        part.0
    }
}

impl fmt::Display for HostPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The lowest host part of the subnet that no guest has; none when it is full.
#[must_use]
pub fn lowest_free(subnet: &Subnet, used: &BTreeSet<HostPart>) -> Option<HostPart> {
    (2..subnet.probe_part().get())
        .map(HostPart)
        .find(|part| !used.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_names::Installation;

    fn parts(numbers: impl IntoIterator<Item = u16>) -> BTreeSet<HostPart> {
        numbers.into_iter().map(HostPart).collect()
    }

    #[test]
    fn addresses_are_taken_in_order_and_gaps_are_filled() {
        let subnet =
            Subnet::new([10, 0, 0, 0].into(), 29, &Installation::from_random([1; 8])).unwrap();
        assert_eq!(lowest_free(&subnet, &parts([])), Some(HostPart(2)));
        assert_eq!(lowest_free(&subnet, &parts([2, 3, 5])), Some(HostPart(4)));
        assert_eq!(
            lowest_free(&subnet, &parts([2, 3, 4, 5])),
            None,
            "6 is the probe's"
        );
    }

    #[test]
    fn reserved_numbers_are_refused() {
        for number in [0, 1, 65_534, 65_535] {
            assert!(HostPart::try_from(number).is_err());
        }
    }
}
