//! Which of the guest's interfaces is its card: what sysfs tells.

use super::LOOK;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Where the kernel tells of interfaces.
pub(super) const DIRECTORY: &str = "/sys/class/net";

/// How long is waited for the interface: its driver may still be loading.
const WAIT: Duration = Duration::from_secs(2);

/// The guest's card, once its driver is there.
pub(super) fn wait_for(interfaces: &Path) -> Option<u32> {
    let limit = Instant::now() + WAIT;
    loop {
        match find(interfaces) {
            None if Instant::now() < limit => thread::park_timeout(LOOK),
            other => return other,
        }
    }
}

/// The first interface that is a device.
pub(super) fn find(interfaces: &Path) -> Option<u32> {
    let entries = fs::read_dir(interfaces).into_iter().flatten().flatten();
    let devices = entries
        .map(|entry| entry.path())
        .filter(|path| path.join("device").exists());
    devices.filter_map(|path| index(&path)).min()
}

/// The number by which the kernel knows an interface.
pub(super) fn index(interface: &Path) -> Option<u32> {
    fs::read_to_string(interface.join("ifindex"))
        .ok()?
        .trim_end()
        .parse()
        .ok()
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn the_first_device_is_taken_and_loopback_is_none() {
        let temp = tempfile::tempdir().expect("temp");
        let make = |name: &str, index: &str, device: bool| {
            fs::create_dir_all(
                temp.path()
                    .join(name)
                    .join(if device { "device" } else { "" }),
            )
            .expect("made");
            fs::write(temp.path().join(name).join("ifindex"), index).expect("written");
        };
        make("lo", "1\n", false);
        assert_eq!(find(temp.path()), None);
        make("eth1", "3\n", true);
        make("enp0s2", "2\n", true);
        assert_eq!(find(temp.path()), Some(2));
    }
}
