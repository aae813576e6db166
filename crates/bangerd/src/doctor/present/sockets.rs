//! Sockets that listen, and who has them.

use super::place::Place;
use super::processes::Process;
use super::{Clue, Look, Present, Seen};
use banger_proto::owner::doctor::{Kind, Thing};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A socket that listens: `__SO_ACCEPTCON` of the kernel's include/linux/net.h.
const LISTENS: u32 = 1 << 16;

type Holders = BTreeMap<u64, (u32, u32)>;

pub(super) fn read(look: &Look, processes: &[Process], present: &mut Present) {
    let holder = |process: &Process| {
        let who = (process.pid, process.uid);
        let inodes = process.sockets.iter();
        inodes.map(|inode| (*inode, who)).collect::<Vec<_>>()
    };
    let holders: Holders = processes.iter().flat_map(holder).collect();
    match std::fs::read_to_string("/proc/net/unix") {
        Ok(table) => present.seen.extend(unix(look, &table, &holders)),
        Err(error) => present.not_seen.push(format!("unix sockets: {error}")),
    }
    for (table, udp) in [
        ("tcp", false),
        ("tcp6", false),
        ("udp", true),
        ("udp6", true),
    ] {
        // Without IPv6 its tables are not there, and nothing is in them.
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        let ports = text.lines().skip(1).filter_map(|line| port(line, udp));
        present
            .seen
            .extend(ports.map(|port| port.seen(udp, &holders)));
    }
}

/// `Num RefCount Protocol Flags Type St Inode Path` (proc(5)); a path may have spaces.
fn unix(look: &Look, table: &str, holders: &Holders) -> Vec<Seen> {
    let read = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        let inode: u64 = fields.nth(2)?.parse().ok()?;
        let path = line.get(line.find('/')?..)?;
        if flags & LISTENS == 0 {
            return None;
        }
        let holder = holders.get(&inode);
        Some(Seen {
            thing: Thing {
                kind: Kind::Socket,
                name: path.to_owned(),
                id: inode.to_string(),
            },
            uid: holder.map(|(_, uid)| *uid),
            pid: holder.map(|(pid, _)| *pid),
            clue: Place::of(&look.layout, Path::new(path)).map_or(Clue::None, Clue::At),
        })
    };
    let is_own = |seen: &Seen| {
        let path = Path::new(&seen.thing.name);
        look.own.iter().any(|own| path.starts_with(own))
    };
    let all = table.lines().skip(1).filter_map(read);
    all.filter(|seen| !is_own(seen)).collect()
}

struct Port {
    address: SocketAddr,
    uid: u32,
    inode: u64,
}

impl Port {
    fn seen(self, udp: bool, holders: &Holders) -> Seen {
        let protocol = if udp { "udp" } else { "tcp" };
        let Self {
            address,
            uid,
            inode,
        } = self;
        Seen {
            thing: Thing {
                kind: Kind::Port,
                name: format!("{address}/{protocol}"),
                id: inode.to_string(),
            },
            uid: Some(uid),
            pid: holders.get(&inode).map(|(pid, _)| *pid),
            clue: Clue::Port { udp, address },
        }
    }
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …` (proc_net_tcp(5)): those
/// that listen, or for UDP are connected to nobody.
fn port(line: &str, udp: bool) -> Option<Port> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let address = SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?);
    let wanted = if udp { "07" } else { "0A" };
    (state == wanted).then_some(Port {
        address,
        uid,
        inode,
    })
}

/// Words of 32 bits, each in the host's order of bytes.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_listen_are_read_with_their_address() {
        let line = "0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0  1000  0 4711 1";
        let found = port(line, false).expect("listens");
        assert_eq!(found.address, "127.0.0.1:8080".parse().expect("an address"));
        assert_eq!((found.uid, found.inode), (1000, 4711));
        assert!(port(&line.replace(" 0A ", " 01 "), false).is_none());
        assert!(port(&line.replace(" 0A ", " 07 "), true).is_some());
        let six = "1: 00000000000000000000000001000000:0035 0:0 07 0:0 0:0 0 0 0 9 2";
        let found = port(six, true).expect("bound");
        assert_eq!(found.address, "[::1]:53".parse().expect("an address"));
        for garbage in [
            "",
            "0:",
            "0: x:y 0 0A 0 0 0 0 0 0",
            "0: 0:1F90 0:0 0A 0 0 0 x 0 y",
        ] {
            assert!(port(garbage, false).is_none(), "{garbage}");
        }
    }

    #[test]
    fn unix_sockets_that_listen_are_read_with_their_path() {
        let look = Look::of(&crate::layout::Layout {
            config: "/c".into(),
            state: "/s".into(),
            cache: "/k".into(),
            runtime: "/r".into(),
        });
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 4711 /r/bangerd.sock\n\
             0000000000000000: 00000003 00000000 00000000 0001 03 4712 /r/bangerd.sock\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 4713 @abstract\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 4714 /tmp/a b\n";
        let holders = [(4711, (9, 1000))].into();
        let found = unix(&look, table, &holders);
        let names: Vec<_> = found.iter().map(|seen| seen.thing.name.as_str()).collect();
        assert_eq!(names, ["/r/bangerd.sock", "/tmp/a b"]);
        assert_eq!(
            (found[0].pid, &found[0].clue),
            (Some(9), &Clue::At(Place::DaemonSocket))
        );
    }
}
