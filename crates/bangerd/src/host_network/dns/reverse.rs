//! Names of addresses: `2.0.16.172.in-addr.arpa` (RFC 1035 section 3.5) and their like under
//! `ip6.arpa` (RFC 3596 section 2.5).

use super::prefix::Prefix;
use hickory_proto::rr::Name;
use std::net::IpAddr;

/// What a name under `in-addr.arpa` or `ip6.arpa` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reverse {
    /// The addresses that begin as the name says; one address for a whole name.
    pub(super) prefix: Prefix,
    /// How many bits one label stands for.
    pub(super) step: u8,
    /// More labels follow, and they are no part of an address: no such name exists.
    pub(super) beyond: bool,
}

/// The labels that do not stand for bits: `in-addr` and `arpa`.
pub(super) const SUFFIX_LABELS: u8 = 2;

impl Reverse {
    /// Reads a name; `None` when it is under neither of the two.
    pub(super) fn parse(name: &Name) -> Option<Self> {
        let mut labels = name.iter().rev();
        if !labels.next()?.eq_ignore_ascii_case(b"arpa") {
            return None;
        }
        let kind = labels.next()?;
        if kind.eq_ignore_ascii_case(b"in-addr") {
            let (bytes, used) = gather::<4>(&mut labels, octet);
            Self::new(
                bytes.into(),
                used,
                8,
                labels.next().is_some() || used.stopped,
            )
        } else if kind.eq_ignore_ascii_case(b"ip6") {
            let (nibbles, used) = gather::<32>(&mut labels, nibble);
            let bits = nibbles
                .iter()
                .fold(0u128, |bits, nibble| bits << 4 | u128::from(*nibble));
            let address = IpAddr::from(bits.to_be_bytes());
            Self::new(address, used, 4, labels.next().is_some() || used.stopped)
        } else {
            None
        }
    }

    fn new(address: IpAddr, used: Used, step: u8, beyond: bool) -> Option<Self> {
        let prefix = Prefix::of(address, used.labels.checked_mul(step)?).ok()?;
        Some(Self {
            prefix,
            step,
            beyond,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Used {
    labels: u8,
    /// At a label that is no part of an address.
    stopped: bool,
}

/// Values of up to `N` labels; what is missing is 0.
fn gather<'a, const N: usize>(
    labels: &mut impl Iterator<Item = &'a [u8]>,
    value: fn(&[u8]) -> Option<u8>,
) -> ([u8; N], Used) {
    let (mut values, mut used) = ([0; N], 0);
    for slot in &mut values {
        let Some(label) = labels.next() else { break };
        let Some(found) = value(label) else {
            let stopped = true;
            return (
                values,
                Used {
                    labels: used,
                    stopped,
                },
            );
        };
        *slot = found;
        used += 1;
    }
    let stopped = false;
    (
        values,
        Used {
            labels: used,
            stopped,
        },
    )
}

/// Decimal, as it is always written: without sign and leading zeros.
fn octet(label: &[u8]) -> Option<u8> {
    let canonical = matches!(label, [b'0'] | [b'1'..=b'9', ..]);
    let text = std::str::from_utf8(label).ok()?;
    text.parse().ok().filter(|_| canonical)
}

fn nibble(label: &[u8]) -> Option<u8> {
    let [digit] = label else { return None };
    let value = char::from(*digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::dns_name;
    use super::*;
    use proptest::prelude::*;

    fn parse(name: &str) -> Option<(String, bool)> {
        let found = Reverse::parse(&dns_name(name))?;
        Some((found.prefix.to_string(), found.beyond))
    }

    #[test]
    fn a_name_stands_for_the_addresses_that_begin_so() {
        for (name, prefix, beyond) in [
            ("2.0.16.172.in-addr.arpa.", "172.16.0.2/32", false),
            ("16.172.IN-ADDR.ARPA.", "172.16.0.0/16", false),
            ("in-addr.arpa.", "0.0.0.0/0", false),
            ("x.2.0.16.172.in-addr.arpa.", "172.16.0.2/32", true),
            ("x.0.16.172.in-addr.arpa.", "172.16.0.0/24", true),
            ("02.0.16.172.in-addr.arpa.", "172.16.0.0/24", true),
            ("+2.0.16.172.in-addr.arpa.", "172.16.0.0/24", true),
            ("256.0.16.172.in-addr.arpa.", "172.16.0.0/24", true),
            ("0.D.f.ip6.arpa.", "fd00::/12", false),
            ("10.d.f.ip6.arpa.", "fd00::/8", true),
            ("g.d.f.ip6.arpa.", "fd00::/8", true),
        ] {
            assert_eq!(parse(name), Some((prefix.to_owned(), beyond)), "{name}");
        }
    }

    #[test]
    fn other_names_stand_for_no_address() {
        for name in [".", "arpa.", "vm.", "e164.arpa.", "2.0.16.172.in-addr.vm."] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_name_of_an_address_is_read_as_that_address(address: IpAddr) {
            let found = Reverse::parse(&Name::from(address)).expect("a name of an address");
            prop_assert!(!found.beyond);
            prop_assert_eq!(found.prefix.addresses(), address..=address);
        }
    }
}
