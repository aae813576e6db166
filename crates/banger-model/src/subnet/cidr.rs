//! An address with the length of its prefix.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address and a prefix length, `172.16.0.1/24`; the bits behind the prefix may be set, as they
/// are in an interface's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// The text is not `ADDRESS/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address with its prefix length, such as 172.16.0.0/24")]
pub struct BadCidr;

impl Cidr {
    /// An address with its prefix.
    ///
    /// # Errors
    /// `BadCidr` for a prefix over 32 (IPv4) or 128 (IPv6).
    pub const fn new(address: IpAddr, prefix: u8) -> Result<Self, BadCidr> {
        if prefix > bits(address) {
            return Err(BadCidr);
        }
        Ok(Self { address, prefix })
    }

    pub(super) const fn new_unchecked(address: IpAddr, prefix: u8) -> Self {
        Self { address, prefix }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the two networks share an address; those of different families never do.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        match (self.address, other.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                // A shift by the whole width is 0: a prefix of 0 shares every address.
                let shift = 32 - u32::from(prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128 - u32::from(prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, prefix) = text.split_once('/').ok_or(BadCidr)?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadCidr);
        }
        let address = address.parse().map_err(|_| BadCidr)?;
        Self::new(address, prefix.parse().map_err(|_| BadCidr)?)
    }
}

impl TryFrom<String> for Cidr {
    type Error = BadCidr;
    fn try_from(text: String) -> Result<Self, BadCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn a_text_reads_back() {
        for text in ["172.16.0.1/24", "0.0.0.0/0", "fd00::1/128", "::/0"] {
            assert_eq!(cidr(text).to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/",
            "1.2.3.4",
            "1.2.3.4/",
            "1.2.3.4/33",
            "::/129",
            "1.2.3/8",
            "1.2.3.4/+8",
            "1.2.3.4/8/8",
            "a/8",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(BadCidr), "{text}");
        }
    }

    #[test]
    fn networks_overlap_when_one_holds_the_other() {
        assert!(cidr("172.16.0.0/24").overlaps(&cidr("172.16.0.77/32")));
        assert!(cidr("172.16.0.0/24").overlaps(&cidr("172.16.0.0/12")));
        assert!(cidr("0.0.0.0/0").overlaps(&cidr("9.9.9.9/32")));
        assert!(cidr("fd00::/8").overlaps(&cidr("fd12::/64")));
        assert!(!cidr("172.16.0.0/24").overlaps(&cidr("172.16.1.0/24")));
        assert!(!cidr("::/0").overlaps(&cidr("172.16.1.0/24")));
        assert!(!cidr("fd12::1/128").overlaps(&cidr("fd12::2/128")));
    }
}
