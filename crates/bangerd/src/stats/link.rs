//! The counters of a TAP, which everybody may read. What the TAP receives, its guest has sent.

use banger_model::host_names::TapSlot;
use banger_proto::owner::stats::NetworkStats;
use std::path::Path;

/// The kernel's directory of links.
const LINKS: &str = "/sys/class/net";

/// Bytes of the guest behind a TAP; `None` where the link is not to be seen.
pub(super) fn counters(slot: TapSlot) -> Option<NetworkStats> {
    in_directory(&Path::new(LINKS).join(slot.interface()))
}

/// Packets to the guest behind a TAP, broadcasts included.
pub(crate) fn packets_to(slot: TapSlot) -> Option<u64> {
    counter(&Path::new(LINKS).join(slot.interface()), "tx_packets")
}

fn counter(link: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(link.join("statistics").join(name)).ok()?;
    text.trim_end().parse().ok()
}

fn in_directory(link: &Path) -> Option<NetworkStats> {
    Some(NetworkStats {
        received_bytes: counter(link, "tx_bytes")?,
        sent_bytes: counter(link, "rx_bytes")?,
    })
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn what_a_tap_receives_its_guest_has_sent_and_half_a_link_is_none() {
        let link = tempfile::tempdir().expect("a directory");
        let counters = link.path().join("statistics");
        std::fs::create_dir(&counters).expect("made");
        std::fs::write(counters.join("rx_bytes"), "70\n").expect("written");
        assert_eq!(in_directory(link.path()), None);
        std::fs::write(counters.join("tx_bytes"), "9\n").expect("written");
        let seen = NetworkStats {
            received_bytes: 9,
            sent_bytes: 70,
        };
        assert_eq!(in_directory(link.path()), Some(seen));
        std::fs::write(counters.join("tx_bytes"), "-9\n").expect("written");
        assert_eq!(in_directory(link.path()), None);
    }
}
