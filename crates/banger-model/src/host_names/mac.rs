//! Hardware addresses of guests.

use crate::SandboxId;
use std::fmt;

/// The hardware address of a guest's network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The throw-away guest of a firewall probe. Guests begin with `06`, so none can have it.
    pub const PROBE: Self = Self([0x02, 0x62, 0x61, 0x6e, 0x67, 0x72]);

    /// The address of a sandbox: `06`, locally administered and unicast (IEEE 802c), and the first
    /// 5 bytes of its id. It stays the same when the sandbox gets another TAP.
    #[must_use]
    pub const fn of(id: &SandboxId) -> Self {
        let [a, b, c, d, e, ..] = *id.as_bytes();
        Self([0x06, a, b, c, d, e])
    }

    /// The 6 bytes, as they are sent.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_sandbox_local_and_unicast() {
        for byte in [0, 0x5a, 0xff] {
            let mac = Mac::of(&SandboxId::from_random([byte; 16]));
            assert_eq!(mac.as_bytes()[0] & 0b11, 0b10, "local, not a group");
            assert_eq!(mac.as_bytes()[1..], [byte; 5]);
            assert_ne!(mac, Mac::PROBE);
        }
        assert_eq!(Mac::PROBE.as_bytes()[0] & 0b11, 0b10);
        assert_eq!(Mac::PROBE.to_string(), "02:62:61:6e:67:72");
    }
}
