//! The same by programs, as a script would do it: a TAP, on a bridge, up, and let through the rules.

use super::super::error::Error;
use super::kernel::{ip, nft, tool};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The sets that an isolated guest is in, with the types of their elements: those of our own rules.
const SETS: [(&str, &str, &str); 3] = [
    (
        "cards",
        "ifname . ether_addr",
        "tap-bare . 06:00:00:00:00:01",
    ),
    (
        "guests4",
        "ifname . ether_addr . ipv4_addr",
        "tap-bare . 06:00:00:00:00:01 . 172.20.0.2",
    ),
    (
        "guests6",
        "ifname . ether_addr . ipv6_addr",
        "tap-bare . 06:00:00:00:00:01 . fd00::2",
    ),
];

/// A bridge and a table with those sets.
#[derive(Debug)]
pub(super) struct ByHand {
    commands: [Command; 3],
}

impl ByHand {
    /// Makes bridge and table, in the calling thread's namespace.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn new() -> Result<Self, Error> {
        ip("link add br-bare type bridge")?;
        ip("link set br-bare up")?;
        nft("add table bridge bare")?;
        for (name, kind, _) in SETS {
            nft(&format!("add set bridge bare {name} {{ type {kind} ; }}"))?;
        }
        let elements = SETS
            .map(|(name, _, element)| format!("add element bridge bare {name} {{ {element} }}"));
        let commands = [
            tool("ip", "tuntap add dev tap-bare mode tap user 0 vnet_hdr"),
            tool("ip", "link set dev tap-bare master br-bare up"),
            tool("nft", &elements.join(" ; ")),
        ];
        Ok(Self { commands })
    }

    /// Makes the place of one sandbox: how long the three programs took, one after the other.
    ///
    /// # Errors
    /// When one fails.
    pub(super) fn make(&mut self) -> Result<Duration, Error> {
        let begun = Instant::now();
        for command in &mut self.commands {
            let status = command.stdout(Stdio::null()).status();
            let status = status.map_err(Error::io("run ip and nft"))?;
            if !status.success() {
                return Err(Error::wrong(format!("{command:?}: {status}")));
            }
        }
        Ok(begun.elapsed())
    }

    /// Removes it again.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn remove(&self) -> Result<(), Error> {
        for (name, ..) in SETS {
            nft(&format!("flush set bridge bare {name}"))?;
        }
        ip("link delete tap-bare").map(drop)
    }

    /// Removes bridge and table.
    ///
    /// # Errors
    /// When a program fails.
    pub(super) fn end(self) -> Result<(), Error> {
        nft("delete table bridge bare")?;
        ip("link delete br-bare").map(drop)
    }
}
