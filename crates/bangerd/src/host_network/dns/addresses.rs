//! A machine's addresses.

use std::net::IpAddr;

/// The addresses of one machine: 1 to 16, each once, each one that a guest can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(Vec<IpAddr>);

/// The most that one machine can have: one IPv4 and one IPv6 address in each of eight networks. The
/// bound also keeps the largest answer below 800 bytes.
const MOST: usize = 16;

/// Why these are no machine's addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddresses {
    /// There is none.
    #[error("a machine without an address has no name: give at least one")]
    None,
    /// More than can be served.
    #[error("a machine with {count} addresses: at most {MOST} are served")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// Not the address of a guest.
    #[error("{0} is not an address that a guest can have")]
    NotAGuests(IpAddr),
}

impl Addresses {
    /// Checks them. IPv4 addresses in IPv6 form become IPv4 addresses.
    ///
    /// # Errors
    /// For none, for more than 16, and for one that no guest can have: unspecified, loopback,
    /// multicast, broadcast.
    pub fn new(given: impl IntoIterator<Item = IpAddr>) -> Result<Self, BadAddresses> {
        let mut addresses = Vec::new();
        for address in given {
            let address = address.to_canonical();
            if !is_a_guests(address) {
                return Err(BadAddresses::NotAGuests(address));
            }
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            if addresses.len() > MOST {
                let count = addresses.len();
                return Err(BadAddresses::TooMany { count });
            }
        }
        if addresses.is_empty() {
            return Err(BadAddresses::None);
        }
        Ok(Self(addresses))
    }

    /// All of them, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }
}

fn is_a_guests(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Addresses, BadAddresses> {
        Addresses::new(
            text.split_whitespace()
                .map(|word| word.parse().expect(word)),
        )
    }

    #[test]
    fn each_address_is_kept_once_in_its_own_form() {
        let both = parse("172.16.0.2 fd00::2 ::ffff:172.16.0.2").expect("fine");
        let text: Vec<String> = both.iter().map(|address| address.to_string()).collect();
        assert_eq!(text, ["172.16.0.2", "fd00::2"]);
    }

    #[test]
    fn what_no_guest_can_have_is_refused() {
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "ff02::1",
            "::",
        ] {
            let address = text.parse().expect(text);
            assert_eq!(parse(text), Err(BadAddresses::NotAGuests(address)));
        }
        assert_eq!(parse(""), Err(BadAddresses::None));
        let mapped = parse("::ffff:127.0.0.1");
        assert!(
            matches!(mapped, Err(BadAddresses::NotAGuests(_))),
            "{mapped:?}"
        );
    }

    #[test]
    fn there_are_at_most_sixteen() {
        let many = |count: u8| Addresses::new((1..=count).map(|n| IpAddr::from([10, 0, 0, n])));
        assert_eq!(many(16).expect("fine").iter().count(), 16);
        assert_eq!(many(17), Err(BadAddresses::TooMany { count: 17 }));
    }
}
