//! The system calls that are left (seccomp(2)): what this crate and its callers make, and what nft and
//! resolvectl make with their libraries. Every other one answers ENOSYS, which is how libraries
//! learn that a kernel lacks one and do without: a newer libc must not break the host's network.

use super::ConfineError;
use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// Those that every architecture has.
const ALLOWED: &[c_long] = &[
    // Files and descriptors.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_openat,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_umask,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_signalfd4,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads, processes, signals.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_prctl,
    libc::SYS_setpgid,
    libc::SYS_getpgid,
    libc::SYS_setsid,
    libc::SYS_getsid,
    // Who and when.
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_prlimit64,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    // Sockets; which families there are is below.
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
];

/// Older forms of some of the above, which only this architecture has and its libraries use.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_arch_prctl,
    libc::SYS_getpgrp,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// `socket` for these families only: this host's processes, and the kernel.
const FAMILIES: [i32; 2] = [libc::AF_UNIX, libc::AF_NETLINK];

/// `clone` without any of the flags for new namespaces. `clone3` hides its flags in memory: it is not
/// allowed, and libraries fall back to `clone`.
const NEW_NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// `ioctl` for these requests only: of TAPs (linux/if_tun.h), names of interfaces, and what libraries ask
/// of a stream.
const REQUESTS: [u32; 9] = [
    0x4004_54ca, // TUNSETIFF
    0x4004_54cb, // TUNSETPERSIST
    0x4004_54cc, // TUNSETOWNER
    0x8910,      // SIOCGIFNAME
    0x8933,      // SIOCGIFINDEX
    0x5401,      // TCGETS
    0x5413,      // TIOCGWINSZ
    0x541b,      // FIONREAD
    0x5421,      // FIONBIO
];

/// Leaves only these calls to this thread and what it runs. Gives their number.
pub(super) fn filter() -> Result<usize, ConfineError> {
    let failed = |reason: String| ConfineError::Filter {
        asked: "filter system calls",
        reason,
    };
    let rules = rules().map_err(|error| failed(error.to_string()))?;
    let count = rules.len();
    let program = compile(rules).map_err(|error| failed(error.to_string()))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(error.to_string()))?;
    Ok(count)
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn rules() -> Result<Rules, BackendError> {
    let free = ALLOWED.iter().chain(OLDER);
    let mut rules: Rules = free.map(|call| (*call, Vec::new())).collect();
    let families = FAMILIES
        .iter()
        .map(|family| u64::from(family.unsigned_abs()));
    rules.insert(libc::SYS_socket, one_of(0, families)?);
    rules.insert(
        libc::SYS_ioctl,
        one_of(1, REQUESTS.into_iter().map(u64::from))?,
    );
    let namespaces = u64::from(NEW_NAMESPACES.cast_unsigned());
    let none = SeccompCmpOp::MaskedEq(namespaces);
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, none, 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition])?]);
    Ok(rules)
}

/// An argument with one of these values; the kernel takes families and requests as 32 bits.
fn one_of(
    argument: u8,
    values: impl Iterator<Item = u64>,
) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |value| {
        let is = SeccompCmpOp::Eq;
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)?;
        SeccompRule::new(vec![condition])
    };
    values.map(rule).collect()
}

fn compile(rules: Rules) -> Result<BpfProgram, BackendError> {
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, absent, SeccompAction::Allow, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_fits_the_kernel_s_limit_and_each_call_is_named_once() {
        let rules = rules().expect("rules");
        // socket, ioctl and clone have conditions.
        assert_eq!(rules.len(), ALLOWED.len() + OLDER.len() + 3);
        // BPF_MAXINSNS of linux/bpf_common.h.
        assert!(compile(rules).expect("a program").len() < 4096);
    }

    #[test]
    fn what_leads_out_of_the_confinement_is_not_in_it() {
        let rules = rules().expect("rules");
        for call in [
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_clone3,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_kexec_load,
            libc::SYS_reboot,
            libc::SYS_keyctl,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_open_by_handle_at,
            libc::SYS_setuid,
            libc::SYS_capset,
            libc::SYS_fchmod,
            libc::SYS_fchownat,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }
}
