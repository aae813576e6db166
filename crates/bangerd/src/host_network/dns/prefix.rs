//! A range of addresses: a subnet of the guests, or what a name under `in-addr.arpa` stands for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// The addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    first: IpAddr,
    length: u8,
}

/// A prefix that is longer than an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("/{length} is longer than {address}")]
pub struct BadPrefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of this length in which an address is.
    ///
    /// # Errors
    /// When the length is more than 32 for IPv4, or 128 for IPv6.
    pub fn of(address: IpAddr, length: u8) -> Result<Self, BadPrefix> {
        if length > width(address) {
            return Err(BadPrefix { address, length });
        }
        let first = from_bits(address, bits(address) & mask(length));
        Ok(Self { first, length })
    }

    /// How many bits are the same.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is as long as an address.
    #[must_use]
    pub const fn is_one_address(&self) -> bool {
        self.length == width(self.first)
    }

    /// Whether everything in another prefix is in this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let same_family = self.first.is_ipv4() == other.first.is_ipv4();
        let same_bits = bits(other.first) & mask(self.length) == bits(self.first);
        same_family && self.length <= other.length && same_bits
    }

    /// From the first address to the last.
    #[must_use]
    pub fn addresses(&self) -> RangeInclusive<IpAddr> {
        let last = bits(self.first) | !mask(self.length);
        self.first..=from_bits(self.first, last)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Both families are handled as the upper bits of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn from_bits(family: IpAddr, bits: u128) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::from_bits((bits >> 96) as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

fn mask(length: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').expect(text);
        Prefix::of(address.parse().expect(text), length.parse().expect(text)).expect(text)
    }

    #[test]
    fn a_prefix_covers_itself_and_what_is_longer_and_begins_alike() {
        for (outer, inner, covers) in [
            ("172.16.0.1/24", "172.16.0.0/24", true),
            ("172.16.0.0/24", "172.16.0.255/32", true),
            ("172.16.0.0/24", "172.16.1.0/32", false),
            ("172.16.0.0/24", "172.16.0.0/16", false),
            ("0.0.0.0/0", "9.9.9.9/32", true),
            ("0.0.0.0/0", "::/0", false),
            ("fd00:1::/64", "fd00:1::2/128", true),
            ("fd00:1::/64", "fd00:1:0:1::/128", false),
        ] {
            assert_eq!(
                prefix(outer).covers(&prefix(inner)),
                covers,
                "{outer} {inner}"
            );
        }
    }

    #[test]
    fn a_prefix_longer_than_its_address_is_refused() {
        assert!(Prefix::of(IpAddr::from([1, 2, 3, 4]), 33).is_err());
        assert!(Prefix::of(IpAddr::from([0u8; 16]), 128).is_ok());
        assert!(Prefix::of(IpAddr::from([0u8; 16]), 129).is_err());
    }

    #[test]
    fn its_addresses_are_those_between_both_ends() {
        let range = prefix("172.16.0.77/20").addresses();
        assert_eq!(*range.start(), IpAddr::from([172, 16, 0, 0]));
        assert_eq!(*range.end(), IpAddr::from([172, 16, 15, 255]));
    }

    proptest! {
        #[test]
        fn an_address_is_in_the_range_if_and_only_if_it_is_covered(
            base: u32, length in 0u8..=32, other: u32
        ) {
            let prefix = Prefix::of(Ipv4Addr::from_bits(base).into(), length).expect("fine");
            let other = IpAddr::V4(Ipv4Addr::from_bits(other));
            let one = Prefix::of(other, 32).expect("fine");
            prop_assert_eq!(prefix.covers(&one), prefix.addresses().contains(&other));
        }
    }
}
