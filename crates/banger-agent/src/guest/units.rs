//! Units of systemd that hold identity: which, and why, is in docs/identity.md.

use crate::root::Root;
use std::time::Duration;

/// How long all of them together may take.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// systemd's tool.
pub(super) const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// It keeps the boot id that it read first, which no resume leaves as it was.
const ALWAYS: [&str; 1] = ["systemd-journald.service"];
/// What keeps a name, an id, an address or a key of the machine that it was started on.
const OF_ANOTHER: [&str; 9] = [
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-hostnamed.service",
    "systemd-timesyncd.service",
    "chrony.service",
    "chronyd.service",
    "ntpsec.service",
    "avahi-daemon.service",
    "rsyslog.service",
];

/// Those that run: systemd gives each unit that does a cgroup of its name.
pub(super) fn survey(root: &Root, is_another: bool) -> Vec<&'static str> {
    let of_another = OF_ANOTHER.into_iter().filter(|_| is_another);
    let runs = |unit: &&str| root.has(format!("/sys/fs/cgroup/system.slice/{unit}").as_bytes());
    ALWAYS.into_iter().chain(of_another).filter(runs).collect()
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn only_units_that_run_are_restarted_and_most_only_in_another_sandbox() {
        let temp = tempfile::tempdir().expect("temp");
        let root = Root::host(temp.path()).expect("opened");
        assert!(survey(&root, true).is_empty(), "a guest without systemd");
        for unit in ["systemd-journald", "systemd-resolved", "dbus"] {
            let cgroup = format!("sys/fs/cgroup/system.slice/{unit}.service");
            std::fs::create_dir_all(temp.path().join(cgroup)).expect("made");
        }
        let journal = "systemd-journald.service";
        assert_eq!(survey(&root, false), [journal]);
        assert_eq!(survey(&root, true), [journal, "systemd-resolved.service"]);
    }
}
