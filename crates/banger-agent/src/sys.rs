//! The only room with unsafe code: what neither the standard library nor rustix does safely.
#![expect(
    unsafe_code,
    reason = "steps between fork and exec, waiting for files, two ioctls of /dev/random, one of ext4, three of interfaces, signals by number, a scheduling policy"
)]

pub(crate) mod interface;

use rustix::io;
use rustix::process::Signal;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Runs `steps` in the child, after its standard streams are in place and before exec. The child is
/// scheduled as usual, whatever [`never_preempt`] did.
///
/// The caller's part: `steps` only makes system calls on what was prepared before; it takes no
/// lock and does not allocate.
pub(crate) fn before_exec<F>(command: &mut Command, mut steps: F)
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: the closure runs in a forked child of a process with threads, where only
    // async-signal-safe functions may be called. It only makes raw system calls through rustix's
    // linux_raw backend or libc's bare wrapper of one, which neither lock nor allocate; errors convert
    // without allocation.
    unsafe {
        command.pre_exec(move || {
            schedule(libc::SCHED_OTHER)
                .and_then(|()| steps())
                .map_err(std::io::Error::from)
        });
    }
}

/// A file that the runtime waits for.
pub(crate) fn watch(file: OwnedFd, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same number, and it stays open for as long as the
    // `AsyncFd` has it: nobody here takes the number out and closes it.
    let watched = unsafe { AsyncFd::register_with_interest(file, interest) };
    watched.map_err(std::io::Error::from)
}

/// The signal of that number, if the kernel has it (1 to 64) and libc does not use it itself.
pub(crate) fn signal(number: i32) -> Option<Signal> {
    // 32 and 33 are glibc's own (nptl: SIGCANCEL, SIGSETXID).
    let is_known = (1..=31).contains(&number) || (34..=64).contains(&number);
    // SAFETY: not zero, a valid number, none that libc reserves for itself; it is only ever sent
    // to other processes.
    is_known.then(|| unsafe { Signal::from_raw_unchecked(number) })
}

/// Most bytes that [`add_entropy`] takes at once.
const POOL_CHUNK: usize = 64;

/// `struct rand_pool_info` of random(4), with room for [`POOL_CHUNK`] bytes.
#[repr(C)]
struct PoolInfo {
    entropy_bits: i32,
    size: i32,
    bytes: [u8; POOL_CHUNK],
}

/// `_IOW('R', 0x03, int[2])` in linux/random.h.
const RNDADDENTROPY: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<[i32; 2]>(b'R', 0x03);
/// `_IO('R', 0x07)` in linux/random.h.
const RNDRESEEDCRNG: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(b'R', 0x07);

/// Adds random bytes to the kernel's pool and has its generator take them at once.
pub(crate) fn add_entropy(random: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    for chunk in bytes.chunks(POOL_CHUNK) {
        let mut info = PoolInfo {
            entropy_bits: i32::try_from(chunk.len() * 8).unwrap_or_default(),
            size: i32::try_from(chunk.len()).unwrap_or_default(),
            bytes: [0; POOL_CHUNK],
        };
        info.bytes
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        // SAFETY: RNDADDENTROPY reads the two numbers and `size` bytes behind them; `size` is at
        // most POOL_CHUNK, which is what the structure has.
        unsafe {
            rustix::ioctl::ioctl(
                random,
                rustix::ioctl::Setter::<RNDADDENTROPY, PoolInfo>::new(info),
            )?;
        }
    }
    // SAFETY: RNDRESEEDCRNG takes no argument.
    unsafe { rustix::ioctl::ioctl(random, rustix::ioctl::NoArg::<RNDRESEEDCRNG>::new()) }
}

/// `EXT4_IOC_RESIZE_FS`: `_IOW('f', 16, __u64)` in fs/ext4/ext4.h.
const RESIZE_EXT4: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<u64>(b'f', 16);

/// Makes a mounted ext4 so many of its blocks large; `mounted` is any file in it, opened for reading. It
/// waits until that is done.
pub(crate) fn resize_ext4(mounted: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    // SAFETY: the only argument is a pointer to a number of 64 bits, which the kernel reads. The number
    // could mean another thing to a file system of another kind, which would then read as much or less:
    // `_IOW` has the size in it.
    unsafe {
        rustix::ioctl::ioctl(
            mounted,
            rustix::ioctl::Setter::<RESIZE_EXT4, u64>::new(blocks),
        )
    }
}

/// Has this thread never take the processor from a command that runs just because there is something
/// to do for it (`SCHED_BATCH`, sched(7)).
///
/// A command that writes much is then interrupted when its pipe is full, not at each write. On an
/// emulated processor, where every change between processes empties the address cache, 128 MiB
/// through a pipe of 1 MiB took 0.20 s instead of 0.30 s (measured).
pub(crate) fn never_preempt() -> io::Result<()> {
    schedule(libc::SCHED_BATCH)
}

/// Gives the calling thread a scheduling policy that has no priorities.
fn schedule(policy: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; the structure lives through the call, which only reads it.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => {
            let error = std::io::Error::last_os_error();
            Err(io::Errno::from_io_error(&error).unwrap_or(io::Errno::INVAL))
        }
    }
}

#[cfg(test)]
mod t1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signals_that_a_program_may_send_are_known() {
        assert_eq!(signal(9), Some(Signal::KILL));
        assert_eq!(signal(38).map(Signal::as_raw), Some(38));
        for number in [i32::MIN, -1, 0, 32, 33, 65, i32::MAX] {
            assert_eq!(signal(number), None, "{number}");
        }
    }

    #[test]
    fn the_numbers_of_the_policies_are_those_of_the_kernel() {
        // linux/sched.h
        assert_eq!((libc::SCHED_OTHER, libc::SCHED_BATCH), (0, 3));
    }

    #[test]
    fn the_numbers_of_the_ioctls_are_those_of_the_kernel() {
        assert_eq!((RNDADDENTROPY, RNDRESEEDCRNG), (0x4008_5203, 0x5207));
        assert_eq!(RESIZE_EXT4, 0x4008_6610);
    }
}
