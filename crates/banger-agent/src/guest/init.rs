//! The image's init: whether there is one, and how far it is.

use crate::fault::fault;
use crate::root::Root;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{GuestFault, InitChoice};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

/// Where an image's init is looked for.
const INIT: &str = "/sbin/init";
/// Where systemd is, in the order of age.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
/// Exists when the default target is reached.
const SETTLED: &[u8] = b"/run/banger-settled";

/// Whether the image's init is to be started.
pub(super) fn choose(root: &Root, choice: InitChoice) -> Result<bool, GuestFault> {
    match (choice, has_systemd(root)) {
        (InitChoice::None, _) => Ok(false),
        (InitChoice::Auto, has) => Ok(has),
        (InitChoice::Systemd, true) => Ok(true),
        (InitChoice::Systemd, false) => {
            let message =
                "the image has no systemd (neither as /sbin/init nor in /usr/lib/systemd)";
            Err(fault(FaultCode::BadRequest, message))
        }
    }
}

fn has_systemd(root: &Root) -> bool {
    let is_systemd = |path: &Path| path.file_name().is_some_and(|name| name == "systemd");
    resolved(root, INIT).is_some_and(|path| is_systemd(&path))
        || SYSTEMD.iter().any(|path| root.has(path.as_bytes()))
}

/// What a path inside the root leads to, links followed.
fn resolved(root: &Root, path: &str) -> Option<std::path::PathBuf> {
    let file = root
        .open(path.as_bytes(), OFlags::PATH, Mode::empty())
        .ok()?;
    fs::read_link(super::mounts::fd_path(file.as_fd())).ok()
}

/// What process 1 executes, and as what, once the new root is `/`.
pub(super) fn program() -> (&'static str, &'static str) {
    let systemd = SYSTEMD.iter().find(|path| Path::new(path).exists());
    match (Path::new(INIT).exists(), systemd) {
        (false, Some(systemd)) => (systemd, systemd),
        _ => (INIT, INIT),
    }
}

/// Writes a unit that says when the default target is reached. It lives in `/run`, nothing of the
/// image is changed.
pub(super) fn watch(root: &Root) -> Result<(), Errno> {
    let touch: &[u8] = if root.has(b"/usr/bin/touch") {
        b"/usr/bin/touch"
    } else {
        b"/bin/touch"
    };
    let unit = [
        b"[Unit]\nDescription=Tell banger that the system has settled\nAfter=default.target\n\n\
          [Service]\nType=oneshot\nExecStart="
            .as_slice(),
        touch,
        b" ",
        SETTLED,
        b"\n",
    ];
    want(root, "banger-settled.service", &unit.concat())
}

/// Writes a unit that is started with the default target; it lives in `/run`.
pub(super) fn want(root: &Root, name: &str, unit: &[u8]) -> Result<(), Errno> {
    root.make_directories(b"/run/systemd/system/default.target.wants")?;
    let directory = root.make_directories(b"/run/systemd/system")?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(&directory, name, flags, mode)?;
    let mut file = fs::File::from(file);
    let written = io_write(&mut file, unit);
    written?;
    let link = format!("default.target.wants/{name}");
    match rustix::fs::symlinkat(format!("../{name}"), &directory, link) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn io_write(file: &mut fs::File, bytes: &[u8]) -> Result<(), Errno> {
    use std::io::Write;
    file.write_all(bytes)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Whether the default target was reached.
pub(super) fn is_settled(root: &Root) -> bool {
    root.has(SETTLED)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::symlink;

    fn image(files: &[&str], init: Option<&str>) -> (tempfile::TempDir, Root) {
        let temp = tempfile::tempdir().expect("temp");
        for file in files {
            let path = temp.path().join(file);
            fs::create_dir_all(path.parent().expect("below")).expect("made");
            fs::write(path, "").expect("written");
        }
        if let Some(target) = init {
            fs::create_dir_all(temp.path().join("sbin")).expect("made");
            symlink(target, temp.path().join("sbin/init")).expect("linked");
        }
        let root = Root::host(temp.path()).expect("opened");
        (temp, root)
    }

    #[test]
    fn systemd_is_found_inside_the_image_only() {
        let debian = image(&["lib/systemd/systemd"], Some("/lib/systemd/systemd"));
        let busybox = image(&["bin/busybox"], Some("../bin/busybox"));
        let dangling = image(&[], Some("/usr/lib/systemd/systemd"));
        let without_link = image(&["usr/lib/systemd/systemd"], None);
        for ((_temp, root), expected) in [
            (debian, true),
            (busybox, false),
            (dangling, false),
            (without_link, true),
        ] {
            assert_eq!(choose(&root, InitChoice::Auto).expect("always"), expected);
            assert_eq!(choose(&root, InitChoice::Systemd).is_ok(), expected);
            assert_eq!(choose(&root, InitChoice::None), Ok(false));
        }
    }

    #[test]
    fn the_unit_that_watches_is_written_again_without_harm() {
        let (temp, root) = image(&["usr/bin/touch"], None);
        for _ in 0..2 {
            watch(&root).expect("written");
        }
        let unit = temp
            .path()
            .join("run/systemd/system/default.target.wants/banger-settled.service");
        let unit = fs::read_to_string(unit).expect("through the link");
        assert!(
            unit.contains("ExecStart=/usr/bin/touch /run/banger-settled\n"),
            "{unit}"
        );
        assert!(!is_settled(&root));
        fs::write(temp.path().join("run/banger-settled"), "").expect("written");
        assert!(is_settled(&root));
    }
}
