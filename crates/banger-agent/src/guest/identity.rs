//! Texts that make a guest that sandbox: decided here, written elsewhere.

use banger_proto::guest::hello::UnixTime;
use rustix::time::{ClockId, Timespec, clock_settime};
use std::fmt::Write;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// `/etc/hosts` with the guest's own name at 127.0.1.1 (as Debian has it), the rest as it was.
pub(super) fn hosts(old: &[u8], hostname: &str) -> Vec<u8> {
    let first = |line: &[u8]| {
        line.split(u8::is_ascii_whitespace)
            .next()
            .map(<[u8]>::to_vec)
    };
    let has = |address: &[u8]| {
        old.split(|byte| *byte == b'\n')
            .any(|line| first(line).as_deref() == Some(address))
    };
    let mut text = Vec::new();
    if !has(b"127.0.0.1") {
        text.extend_from_slice(b"127.0.0.1\tlocalhost\n");
    }
    if !has(b"::1") {
        text.extend_from_slice(b"::1\tlocalhost ip6-localhost ip6-loopback\n");
    }
    for line in old.split_inclusive(|byte| *byte == b'\n') {
        if first(line).as_deref() != Some(b"127.0.1.1") {
            text.extend_from_slice(line);
        }
    }
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("127.0.1.1\t{hostname}\n").as_bytes());
    text
}

/// `/etc/machine-id` (machine-id(5)).
pub(super) fn machine_id(id: [u8; 16]) -> String {
    format!("{:032x}\n", u128::from_be_bytes(id))
}

/// `/etc/resolv.conf`.
pub(super) fn resolv_conf(resolvers: &[IpAddr]) -> String {
    resolvers.iter().fold(String::new(), |mut text, resolver| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "nameserver {resolver}");
        text
    })
}

/// Sets the clock to the host's time.
pub(super) fn set_clock(time: UnixTime) -> rustix::io::Result<()> {
    let seconds = i64::try_from(time.seconds).map_err(|_| rustix::io::Errno::INVAL)?;
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(time.nanoseconds),
    };
    clock_settime(ClockId::Realtime, time)
}

/// What is to be said of the source of the kernel's clock, which nobody can change from outside. After
/// a resume without a steady one the kernel may fall back to counting timer interrupts.
pub(super) fn doubt_clock(source: &str) -> Option<String> {
    const STEADY: [&str; 3] = ["tsc", "kvm-clock", "arch_sys_counter"];
    let source = source.trim_end();
    (!STEADY.contains(&source)).then(|| {
        format!(
            "the clock's source is now \"{}\": time may go by in steps",
            source.escape_debug()
        )
    })
}

/// Gives random bytes to the kernel.
pub(super) fn add_entropy(bytes: &[u8]) -> std::io::Result<()> {
    let random = File::options().write(true).open("/dev/urandom")?;
    Ok(crate::sys::add_entropy(random.as_fd(), bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_name_is_in_hosts_once_and_the_rest_stays() {
        let old = b"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 old old.lan\n10.0.0.1 other";
        let new = hosts(old, "box");
        let expected = "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 other\n127.0.1.1\tbox\n";
        assert_eq!(String::from_utf8_lossy(&new), expected);
        assert_eq!(hosts(&new, "box"), new);
    }

    #[test]
    fn an_image_without_hosts_gets_localhost() {
        let text = String::from_utf8(hosts(b"", "box")).expect("text");
        assert!(
            text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost"),
            "{text}"
        );
        assert!(text.ends_with("127.0.1.1\tbox\n"), "{text}");
    }

    #[test]
    fn only_a_clock_that_is_not_steady_is_doubted() {
        assert_eq!(doubt_clock("tsc\n"), None);
        assert_eq!(doubt_clock("kvm-clock\n"), None);
        let doubt = doubt_clock("refined-jiffies\n").expect("not steady");
        assert_eq!(
            doubt,
            "the clock's source is now \"refined-jiffies\": time may go by in steps"
        );
    }

    #[test]
    fn the_machine_id_is_32_lower_case_digits() {
        let mut id = [0xab; 16];
        id[0] = 1;
        assert_eq!(machine_id(id), format!("01{}\n", "ab".repeat(15)));
    }

    #[test]
    fn resolvers_are_listed_in_order() {
        let resolvers = [
            "10.0.2.3".parse().expect("v4"),
            "fec0::3".parse().expect("v6"),
        ];
        assert_eq!(
            resolv_conf(&resolvers),
            "nameserver 10.0.2.3\nnameserver fec0::3\n"
        );
        assert_eq!(resolv_conf(&[]), "");
    }
}
