//! The host's own name servers, for guests that may reach them.

use std::net::IpAddr;
use std::path::Path;

/// Where systemd-resolved keeps the servers that it asks itself (systemd-resolved.service(8)), and
/// what programs without it read (resolv.conf(5)).
const FILES: [&str; 2] = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// Most servers that a C library asks (`MAXNS`, resolv.conf(5)); one place is the daemon's.
const MOST: usize = 2;

/// The servers that a guest can reach through the host: those on the host's loopback are not among
/// them, since a guest's loopback is its own.
pub(super) fn of_host() -> Vec<IpAddr> {
    FILES
        .iter()
        .map(|path| std::fs::read_to_string(Path::new(path)).unwrap_or_default())
        .map(|text| reachable(&text))
        .find(|servers| !servers.is_empty())
        .unwrap_or_default()
}

fn reachable(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<IpAddr>().ok())?
    });
    servers
        .filter(|server| !server.is_loopback() && !server.is_unspecified())
        .take(MOST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_and_what_is_none_are_left_out() {
        let text = "# one\nnameserver 127.0.0.53\nnameserver 10.0.0.1 # x\n nameserver fe80::1%eth0\n\
                    options edns0\nnameserver 2001:db8::1\nnameserver 9.9.9.9\nnameserver\n";
        let wanted: Vec<IpAddr> = ["10.0.0.1", "2001:db8::1"]
            .map(|a| a.parse().unwrap())
            .into();
        assert_eq!(reachable(text), wanted);
        assert!(reachable("").is_empty());
    }
}
