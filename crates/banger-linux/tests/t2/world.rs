//! A network namespace for a test, and other people's tools to look at it.

use banger_linux::links::{Bridge, Mac, Marked, create_bridge};
use banger_linux::names::{InterfaceName, Mark};
use banger_linux::namespaces;
use banger_linux::netlink::Netlink;
use rustix::event::Timespec;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// cargo's own runner runs tests as threads of one process, and each starts programs: a copy of
/// another test's descriptors is open in them until they execute.
static ONE: Mutex<()> = Mutex::new(());

/// Runs a test in a fresh network namespace, one at a time.
pub(crate) fn alone<T: Send>(test: impl FnOnce(&Netlink) -> T + Send) -> T {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = namespaces::in_fresh(|| {
        let netlink = Netlink::open().expect("a connection");
        test(&netlink)
    });
    made.expect("these tests need root: a network namespace")
}

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::parse(text).expect(text)
}

pub(crate) fn mark() -> Mark {
    Mark::parse("banger:0123456789abcdef").expect("a mark")
}

pub(crate) fn bridge(netlink: &Netlink, name: &str) -> Marked {
    let bridge = Bridge {
        name: &self::name(name),
        mark: &mark(),
        mac: Mac([6, 0, 0, 0, 0, 1]),
        mtu: 1400,
    };
    create_bridge(netlink, &bridge).expect("a bridge")
}

/// Waits until something holds; the kernel does some things a moment after it was asked.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "not within 30 s: {what}");
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        rustix::event::poll(&mut [], Some(&pause)).expect("poll");
    }
}

/// Runs a program of the host in the calling thread's namespace and gives what it printed.
pub(crate) fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    // As in a shell, '' is an empty word.
    let words = words.map(|word| if word == "''" { "" } else { word });
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}; `cargo xtask setup`"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The same for a tool that prints JSON; an empty list where it prints nothing.
pub(crate) fn json(line: &str) -> Value {
    let text = tool(line);
    match text.trim() {
        "" => Value::Array(Vec::new()),
        text => serde_json::from_str(text).expect(text),
    }
}

/// What `ip` says of one link; none where there is no such link.
pub(crate) fn ip_link(name: &str) -> Option<Value> {
    let links = json("ip -j -d link show");
    let mut links = links.as_array().expect("a list").iter();
    links.find(|link| link["ifname"] == name).cloned()
}
