//! Sockets that listen, read from `/proc/net`: no tools needed.

use banger_proto::guest::message::{MAX_LIST, Port};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `TCP_LISTEN` of the kernel's include/net/tcp_states.h.
const LISTEN: u8 = 0x0a;
/// `TCP_CLOSE`: the state of a UDP socket that is bound and not connected.
const UNCONNECTED: u8 = 0x07;
/// How many processes are asked for their sockets.
const MOST_PROCESSES: usize = 65_536;

/// A socket that listens, and its inode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Lists them, sorted, each once.
pub(crate) fn survey() -> Vec<Port> {
    let mut ports = Vec::new();
    let mut inodes = Vec::new();
    for (table, udp) in [
        ("tcp", false),
        ("tcp6", false),
        ("udp", true),
        ("udp6", true),
    ] {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let state = if udp { UNCONNECTED } else { LISTEN };
        for Listener {
            address,
            port,
            inode,
        } in listeners(&text, state)
        {
            ports.push(Port {
                udp,
                address,
                port,
                process: None,
            });
            inodes.push(inode);
        }
    }
    if !ports.is_empty() {
        let owners = owners();
        for (port, inode) in ports.iter_mut().zip(inodes) {
            port.process = owners.get(&inode).map(|pid| (*pid, name(*pid)));
        }
    }
    ports.sort_by_key(|port| (port.port, port.udp, port.address, port.process.clone()));
    ports.dedup();
    ports.truncate(MAX_LIST);
    ports
}

/// The addresses that sockets which listen on one port are bound to.
pub(crate) fn bound(udp: bool, port: u16) -> Vec<IpAddr> {
    let (tables, state) = match udp {
        true => (["udp", "udp6"], UNCONNECTED),
        false => (["tcp", "tcp6"], LISTEN),
    };
    let mut addresses = Vec::new();
    for table in tables {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let here = listeners(&text, state).filter(|listener| listener.port == port);
        addresses.extend(here.map(|listener| listener.address));
    }
    addresses
}

fn listeners(table: &str, state: u8) -> impl Iterator<Item = Listener> {
    table
        .lines()
        .skip(1)
        .filter_map(move |line| read_line(line, state))
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`
fn read_line(line: &str, wanted: u8) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let (_, remote_port) = fields.next()?.split_once(':')?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let listener = Listener {
        address: read_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.nth(5)?.parse().ok()?,
    };
    let is_free = u16::from_str_radix(remote_port, 16).ok()? == 0;
    (state == wanted && is_free && listener.port != 0).then_some(listener)
}

/// Addresses stand there as 32-bit words of the machine's own byte order.
fn read_address(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Which process has which socket; the lowest process id wins (the one that forked the others).
fn owners() -> BTreeMap<u64, u32> {
    let mut owners = BTreeMap::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return owners;
    };
    let pid = |name: std::ffi::OsString| name.to_str()?.parse::<u32>().ok();
    let pids = processes
        .flatten()
        .filter_map(|entry| pid(entry.file_name()));
    for pid in pids.take(MOST_PROCESSES) {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for link in files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
        {
            if let Some(inode) = link.to_str().and_then(socket_inode) {
                let owner = owners.entry(inode).or_insert(pid);
                *owner = pid.min(*owner);
            }
        }
    }
    owners
}

/// `socket:[12345]`
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

fn name(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
        1: 0100007F:1F91 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n";
    const TCP6: &str = "head\n   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 99 1\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_that_listen_are_read_and_connected_ones_are_not() {
        let four: Vec<_> = listeners(TCP, LISTEN).collect();
        let expected = Listener {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            inode: 4711,
        };
        assert_eq!(four, [expected]);
        let six: Vec<_> = listeners(TCP6, LISTEN).collect();
        assert_eq!(
            six,
            [Listener {
                address: Ipv6Addr::LOCALHOST.into(),
                port: 22,
                inode: 99
            }]
        );
    }

    #[test]
    fn only_sockets_have_an_inode() {
        assert_eq!(socket_inode("socket:[12]"), Some(12));
        for other in [
            "pipe:[12]",
            "socket:[]",
            "socket:[12",
            "/dev/null",
            "socket:[-1]",
        ] {
            assert_eq!(socket_inode(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn hostile_lines_never_panic(line in "( ?[0-9A-Fa-f:é]{0,40}){0,14}", any in ".{0,120}") {
            let _ = read_line(&line, LISTEN);
            let _ = read_line(&any, LISTEN);
            let _ = read_address(&any);
        }

        #[test]
        fn an_address_reads_back(bytes: [u8; 16], port in 1_u16.., inode: u64) {
            let digits: String = bytes.chunks_exact(4)
                .map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().expect("four"))))
                .collect();
            let line = format!("1: {digits}:{port:04X} 0:0000 0A 0:0 0:0 0 0 0 {inode} 1");
            let address = Ipv6Addr::from(bytes).into();
            prop_assert_eq!(read_line(&line, LISTEN), Some(Listener { address, port, inode }));
        }
    }

    mod t1 {
        use super::*;
        use std::net::{TcpListener, UdpSocket};

        #[test]
        fn a_socket_of_this_process_is_listed_with_its_owner() {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
            let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let numbers = [
                (false, tcp.local_addr().expect("bound").port()),
                (true, udp.local_addr().expect("bound").port()),
            ];
            let ports = survey();
            for (is_udp, number) in numbers {
                let found = ports
                    .iter()
                    .find(|port| (port.udp, port.port) == (is_udp, number));
                let process = found.expect("listed").process.as_ref().expect("its own");
                assert_eq!(process.0, std::process::id());
            }
        }
    }
}
