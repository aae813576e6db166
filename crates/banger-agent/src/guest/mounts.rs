//! The guest's file systems: the agent's own, the new root from the disks, and what programs
//! expect inside it.
//!
//! `/dev`, `/proc` and `/sys` are bound into the new root, never moved: the agent that stays in the
//! initramfs needs its own. Every mount point is found inside the new root, whatever links an image
//! has.

use super::disks::Disks;
use crate::fault::{io_reason, reason};
use crate::root::Root;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_bind_recursive, mount_move};
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

/// Where the guest's root is made, as the agent sees it.
const NEW_ROOT: &str = "/newroot";
const IMAGE: &str = "/run/banger/image";
pub(super) const SYSTEM: &str = "/run/banger/system";
/// Where the work disk is, inside the new root.
pub(super) const WORK: &str = "/root";

struct Kernel {
    kind: &'static str,
    at: &'static str,
    flags: MountFlags,
    data: &'static CStr,
}

const NO_SETUID: MountFlags = MountFlags::NOSUID;
const CLOSED: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// The kernel's own file systems, in the agent's root; options as systemd mounts them, which then
/// leaves them as they are.
const KERNEL: [Kernel; 7] = [
    Kernel {
        kind: "devtmpfs",
        at: "/dev",
        flags: NO_SETUID,
        data: c"mode=0755",
    },
    Kernel {
        kind: "proc",
        at: "/proc",
        flags: CLOSED,
        data: c"",
    },
    Kernel {
        kind: "sysfs",
        at: "/sys",
        flags: CLOSED,
        data: c"",
    },
    Kernel {
        kind: "devpts",
        at: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        data: c"mode=0620,gid=5,ptmxmode=0666",
    },
    Kernel {
        kind: "tmpfs",
        at: "/dev/shm",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV),
        data: c"mode=1777",
    },
    Kernel {
        kind: "cgroup2",
        at: "/sys/fs/cgroup",
        flags: CLOSED,
        data: c"nsdelegate,memory_recursiveprot",
    },
    Kernel {
        kind: "mqueue",
        at: "/dev/mqueue",
        flags: CLOSED,
        data: c"",
    },
];

/// How many of [`KERNEL`] the agent itself needs, and needs first.
const NEEDED: usize = 3;

/// Mounts what the agent itself needs.
pub(super) fn first() -> Result<(), String> {
    for kernel in KERNEL.iter().take(NEEDED) {
        mount_kernel(kernel)?;
    }
    Ok(())
}

fn mount_kernel(kernel: &Kernel) -> Result<(), String> {
    let Kernel {
        kind,
        at,
        flags,
        data,
    } = *kernel;
    // One that is there, or that the kernel makes, is as good.
    let _ = fs::create_dir_all(at);
    match rustix::mount::mount(kind, at, kind, flags, data) {
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(format!("cannot mount {at}: {}", reason(errno))),
    }
}

/// Mounts the disks and all else into the new root. Returns it with what could not be done.
pub(super) fn mount(disks: &Disks) -> Result<(Root, Vec<String>), String> {
    mount_base(disks)?;
    let root = Root::guest(Path::new(NEW_ROOT));
    let root = root.map_err(|error| format!("cannot open the new root: {}", io_reason(&error)))?;
    let mut warnings = Vec::new();
    for kernel in KERNEL.iter().skip(NEEDED) {
        // A kernel may lack one.
        warnings.extend(mount_kernel(kernel).err());
    }
    links();
    let has_overlay = disks.system.is_some();
    for inside in plan(disks, has_overlay, &release()) {
        warnings.extend(mount_inside(&root, &inside).err());
    }
    Ok((root, warnings))
}

/// The image, and the system disk laid over it.
fn mount_base(disks: &Disks) -> Result<(), String> {
    let Some(system) = &disks.system else {
        return mount_disk(&disks.image, NEW_ROOT, MountFlags::RDONLY, "image");
    };
    mount_disk(&disks.image, IMAGE, MountFlags::RDONLY, "image")?;
    mount_disk(system, SYSTEM, MountFlags::NOATIME, "system")?;
    for directory in ["upper", "work"] {
        let made = fs::create_dir_all(Path::new(SYSTEM).join(directory));
        made.map_err(|error| format!("cannot prepare the system disk: {}", io_reason(&error)))?;
    }
    // Directories of the image can be renamed only with redirect_dir (overlayfs in the kernel's
    // documentation).
    let options = c"lowerdir=/run/banger/image,upperdir=/run/banger/system/upper,workdir=/run/banger/system/work,redirect_dir=on";
    let _ = fs::create_dir_all(NEW_ROOT);
    rustix::mount::mount("overlay", NEW_ROOT, "overlay", MountFlags::NOATIME, options).map_err(
        |errno| {
            format!(
                "cannot lay the system disk over the image: {}",
                reason(errno)
            )
        },
    )
}

fn mount_disk(disk: &Path, at: &str, flags: MountFlags, role: &str) -> Result<(), String> {
    let cannot = |why: String| format!("cannot mount the {role} disk: {why}");
    fs::create_dir_all(at).map_err(|error| cannot(io_reason(&error)))?;
    rustix::mount::mount(disk, at, "ext4", flags, c"").map_err(|errno| cannot(reason(errno)))
}

/// What is mounted inside the new root.
#[derive(Debug, PartialEq, Eq)]
struct Inside {
    at: String,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// The agent's own, with all below it.
    Bind,
    /// A disk.
    Disk(std::path::PathBuf, MountFlags),
    /// Memory, with these options.
    Memory(&'static CStr),
    /// A directory that must be there, for everybody.
    SharedDirectory,
}

fn plan(disks: &Disks, has_overlay: bool, release: &str) -> Vec<Inside> {
    let inside = |at: &str, what| Inside {
        at: at.to_owned(),
        what,
    };
    let mut plan = vec![
        inside("/dev", What::Bind),
        inside("/proc", What::Bind),
        inside("/sys", What::Bind),
        inside("/run", What::Memory(c"mode=0755")),
    ];
    plan.push(match has_overlay {
        true => inside("/tmp", What::SharedDirectory),
        false => inside("/tmp", What::Memory(c"mode=1777")),
    });
    if let Some(work) = &disks.work {
        plan.push(inside(WORK, What::Disk(work.clone(), MountFlags::NOATIME)));
    }
    if let Some(modules) = &disks.modules {
        let at = format!("/lib/modules/{release}");
        plan.push(inside(&at, What::Disk(modules.clone(), MountFlags::RDONLY)));
    }
    plan
}

fn mount_inside(root: &Root, Inside { at, what }: &Inside) -> Result<(), String> {
    let failed = |errno| format!("cannot mount {at} in the guest: {}", reason(errno));
    let is_new = !root.has(at.as_bytes());
    let target = root.make_directories(at.as_bytes()).map_err(failed)?;
    let target = fd_path(target.as_fd());
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    match what {
        What::Bind => mount_bind_recursive(at.as_str(), target.as_str()),
        What::Disk(disk, flags) => rustix::mount::mount(disk, target.as_str(), "ext4", *flags, c""),
        What::Memory(data) => rustix::mount::mount("tmpfs", target.as_str(), "tmpfs", flags, *data),
        What::SharedDirectory if is_new => {
            let mode = Mode::from_raw_mode(0o1777);
            rustix::fs::chmodat(
                root.as_fd(),
                at.trim_start_matches('/'),
                mode,
                AtFlags::empty(),
            )
        }
        What::SharedDirectory => Ok(()),
    }
    .map_err(failed)
}

/// A path that leads to an open file, for calls that take only paths.
pub(super) fn fd_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Links that programs expect in `/dev` (udev makes them where it runs).
fn links() {
    for (target, name) in [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        // One that is there is as good.
        let _ = rustix::fs::symlink(target, name);
    }
}

/// The kernel's release, as `uname -r`.
pub(super) fn release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Process 1's part: the new root becomes `/` of everything that it starts. The agent stays below.
pub(super) fn switch_root() -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(NEW_ROOT, flags, Mode::empty())?;
    rustix::process::fchdir(&root)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    Ok(rustix::process::chdir("/")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_takes_the_place_of_tmp_only_where_the_root_cannot_be_written() {
        let disks = Disks::default();
        let at_tmp = |has_overlay| {
            let plan = plan(&disks, has_overlay, "6.1");
            plan.into_iter()
                .find(|inside| inside.at == "/tmp")
                .map(|inside| inside.what)
        };
        assert_eq!(at_tmp(true), Some(What::SharedDirectory));
        assert_eq!(at_tmp(false), Some(What::Memory(c"mode=1777")));
    }

    #[test]
    fn disks_that_are_there_are_mounted_at_their_place() {
        let disks = Disks {
            image: "/dev/vda".into(),
            system: Some("/dev/vdb".into()),
            work: Some("/dev/vdc".into()),
            modules: Some("/dev/vdd".into()),
        };
        let plan = plan(&disks, true, "6.1.0-56");
        let at: Vec<_> = plan.iter().map(|inside| inside.at.as_str()).collect();
        assert_eq!(
            at,
            [
                "/dev",
                "/proc",
                "/sys",
                "/run",
                "/tmp",
                "/root",
                "/lib/modules/6.1.0-56"
            ]
        );
    }
}
