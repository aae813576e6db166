//! The only file with unsafe code: what neither the standard library nor rustix does safely.
#![expect(
    unsafe_code,
    reason = "options of sockets, three ioctls of tun, two steps between fork and exec, unshare, the heap"
)]

use rustix::io::{Errno, Result};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `struct ifreq` of netdevice(7), as far as tun reads it: a name and flags, in a union of 24 bytes.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

// linux/if_tun.h: _IOW('T', 202, int), 203, 204.
const TUNSETIFF: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<c_int>(b'T', 202);
const TUNSETPERSIST: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<c_int>(b'T', 203);
const TUNSETOWNER: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<c_int>(b'T', 204);

/// Attaches a descriptor of `/dev/net/tun` to the interface of that name, which is made if there is
/// none. The name has at most 15 bytes, and no zero.
pub(crate) fn tun_attach(tun: BorrowedFd<'_>, name: &str, flags: u16) -> Result<()> {
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags,
        rest: [0; 22],
    };
    let room = request.name.iter_mut().take(15);
    room.zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which is 40 bytes on 64-bit Linux and
    // less on 32-bit; `InterfaceRequest` has 40 bytes, all initialised, and lives until the call ends.
    unsafe {
        rustix::ioctl::ioctl(
            tun,
            rustix::ioctl::Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request),
        )
    }
}

/// Lets that user attach to the interface without `CAP_NET_ADMIN`.
pub(crate) fn tun_set_owner(tun: BorrowedFd<'_>, uid: u32) -> Result<()> {
    // SAFETY: TUNSETOWNER takes its argument by value and touches no memory of ours.
    unsafe {
        let uid = uid as usize;
        rustix::ioctl::ioctl(
            tun,
            rustix::ioctl::IntegerSetter::<TUNSETOWNER>::new_usize(uid),
        )
    }
}

/// Keeps the interface when its last descriptor is closed.
pub(crate) fn tun_persist(tun: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value and touches no memory of ours.
    unsafe {
        rustix::ioctl::ioctl(
            tun,
            rustix::ioctl::IntegerSetter::<TUNSETPERSIST>::new_usize(1),
        )
    }
}

/// Sets an option that is an `int`, e.g. those of netlink(7).
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> Result<()> {
    let length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the pointer and the length are those of one `c_int` that lives until the call ends; the
    // kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    succeeded(result)
}

/// Gives the calling thread a network namespace of its own.
pub(crate) fn unshare_network() -> Result<()> {
    // SAFETY: only the table of descriptors makes this call unsafe (`UnshareFlags::FILES`), and that is
    // not unshared here.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Lets a program inherit no descriptor but the three standard ones, and die with the thread that
/// started it. Needs Linux 5.11.
pub(crate) fn seal_child(command: &mut Command) {
    // SAFETY: the closure runs in a forked child of a process with threads, where only
    // async-signal-safe functions may be called. It makes two raw system calls, which neither lock
    // nor allocate; the conversion of their errors does not allocate either.
    unsafe {
        command.pre_exec(|| {
            // Closed by exec and not here: the standard library tells its parent of a failed exec
            // through one of them.
            let first: libc::c_uint = 3;
            let flags = libc::CLOSE_RANGE_CLOEXEC;
            if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let killed = rustix::process::Signal::KILL;
            rustix::process::set_parent_process_death_signal(Some(killed))?;
            Ok(())
        });
    }
}

/// A descriptor of the process at the other end of a unix socket, at the time when it connected
/// (`SO_PEERPIDFD`, Linux 6.5).
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<OwnedFd> {
    /// asm-generic/socket.h; missing in some versions of libc's headers.
    const SO_PEERPIDFD: c_int = 77;
    let mut descriptor: c_int = -1;
    let mut length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: both pointers are to values that live until the call ends, and the length is that of the
    // `c_int` that the kernel writes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut descriptor).cast(),
            &raw mut length,
        )
    };
    succeeded(result)?;
    if descriptor < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the kernel has just made this descriptor for this call; nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Limits glibc's heaps to one.
pub(crate) fn one_arena() {
    // SAFETY: it takes two numbers and changes a setting of the allocator under the allocator's own lock.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives freed memory back to the system.
pub(crate) fn trim_heap() {
    // SAFETY: it moves nothing that is in use, and may be called by any thread at any time (attributes in
    // malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

fn succeeded(result: c_int) -> Result<()> {
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_and_sizes_are_those_of_the_kernel() {
        assert_eq!(size_of::<InterfaceRequest>(), size_of::<libc::ifreq>());
        assert_eq!(
            (TUNSETIFF, TUNSETPERSIST, TUNSETOWNER),
            (0x4004_54ca, 0x4004_54cb, 0x4004_54cc)
        );
    }
}
