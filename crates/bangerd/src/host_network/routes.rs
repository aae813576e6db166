//! The routes of the host that this process sees itself: what has come onto the bridge's subnet since it
//! was chosen. The helper, who sees more, would have to be waited for.

use banger_model::subnet::{Cidr, Taken, TakenBy};
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

/// The kernel's table of IPv4 (proc_pid_net(5)), of the network that this process is in.
const FILE: &str = "/proc/self/net/route";

/// What is read of it: some two thousand routes. A router has a million.
const MOST: u64 = 256 * 1024;

/// None where they cannot be read: this is a courtesy, [`super::examine`] tells the rest.
pub(super) fn of_host() -> Vec<Taken> {
    let mut text = String::new();
    let read = File::open(FILE).and_then(|file| file.take(MOST).read_to_string(&mut text));
    read.map_or_else(|_| Vec::new(), |_| taken(&text))
}

fn taken(text: &str) -> Vec<Taken> {
    text.lines().filter_map(route).collect()
}

/// A line: the interface, destination, gateway, flags, three counts, the mask, and more. Addresses are
/// printed as the number that their bytes are in memory.
fn route(line: &str) -> Option<Taken> {
    let words: Vec<_> = line.split_whitespace().collect();
    let &[device, destination, _, _, _, _, _, mask, ..] = words.as_slice() else {
        return None;
    };
    let bytes = |word| u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes);
    let address = IpAddr::V4(Ipv4Addr::from(bytes(destination)?));
    let prefix = u32::from_be_bytes(bytes(mask)?).leading_ones();
    Some(Taken {
        range: Cidr::new(address, u8::try_from(prefix).ok()?).ok()?,
        by: TakenBy::Route,
        device: device.trim_matches('*').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn line(device: &str, destination: [u8; 4], mask: [u8; 4]) -> String {
        let number = |bytes| format!("{:08X}", u32::from_ne_bytes(bytes));
        let (destination, mask) = (number(destination), number(mask));
        format!("{device}\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn each_route_is_read_with_its_interface() {
        let text = [
            HEAD.to_owned(),
            line("eth0", [0; 4], [0; 4]),
            line("br-other", [172, 16, 0, 0], [255, 255, 255, 0]),
            line("*", [10, 1, 2, 3], [255; 4]),
        ];
        let read = taken(&text.concat());
        let shown: Vec<_> = read.iter().map(ToString::to_string).collect();
        let wanted = [
            "the route 0.0.0.0/0 of eth0",
            "the route 172.16.0.0/24 of br-other",
            "the route 10.1.2.3/32",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_is_no_route_is_left_out() {
        assert!(taken("").is_empty());
        assert!(taken("eth0 1 2\neth0 x 0 0 0 0 0 y\neth0 123456789 0 0 0 0 0 0\n").is_empty());
    }
}
