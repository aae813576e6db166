//! Who has a port of the host, read from `/proc`: for the words of an error, so whatever cannot be read
//! is left out.

use banger_model::publish::Protocol;
use std::fs;
use std::net::SocketAddr;

/// `TCP_LISTEN` of the kernel's include/net/tcp_states.h.
const LISTEN: u8 = 0x0a;

/// The line of a socket, as far as it is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    user: u32,
    inode: u64,
}

/// The program, or at least the user, behind a port of that protocol and family.
pub(crate) fn find(protocol: Protocol, at: SocketAddr) -> Option<String> {
    let suffix = if at.is_ipv6() { "6" } else { "" };
    let tables = [format!("{protocol}{suffix}"), format!("{protocol}6")];
    let entry = tables.iter().find_map(|table| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        let mut lines = text.lines().skip(1);
        lines.find_map(|line| read_line(line, protocol, at.port()))
    })?;
    Some(program(entry.inode).unwrap_or_else(|| format!("a program of user {}", entry.user)))
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …` (proc_net_tcp(5))
fn read_line(line: &str, protocol: Protocol, wanted: u16) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let entry = Entry {
        user: fields.nth(3)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
    };
    let has_port = u16::from_str_radix(port, 16).ok()? == wanted;
    (has_port && (protocol == Protocol::Udp || state == LISTEN)).then_some(entry)
}

/// The process that has the socket open, among those whose files may be seen.
fn program(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let is_it = |file: fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|link| link.to_str() == Some(wanted.as_str()))
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.any(is_it).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim_end())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4711 1";

    #[test]
    fn only_a_socket_that_listens_on_the_port_has_it() {
        let found = Entry {
            user: 1000,
            inode: 4711,
        };
        assert_eq!(read_line(LINE, Protocol::Tcp, 8080), Some(found));
        assert_eq!(read_line(LINE, Protocol::Tcp, 8081), None);
        let connected = LINE.replace(" 0A ", " 01 ");
        assert_eq!(read_line(&connected, Protocol::Tcp, 8080), None);
        assert!(read_line(&connected, Protocol::Udp, 8080).is_some());
        for short in ["", "0:", "0: x y z", "0: 0:1F90 0:0 0A 0 0 0 x 0 y"] {
            assert_eq!(read_line(short, Protocol::Tcp, 8080), None, "{short}");
        }
    }

    mod t1 {
        use super::*;
        use std::net::TcpListener;

        #[test]
        fn a_socket_of_this_process_is_found_with_its_pid() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let at = listener.local_addr().expect("bound");
            let holder = find(Protocol::Tcp, at).expect("found");
            assert!(
                holder.contains(&format!("pid {}", std::process::id())),
                "{holder}"
            );
            assert_eq!(find(Protocol::Udp, at), None);
        }
    }
}
