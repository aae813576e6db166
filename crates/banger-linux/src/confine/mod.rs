//! Giving up what a privileged process does not need, for good: what it runs inherits it.
//!
//! Afterwards there is a user id 0 that may change the network of its own namespace and read and
//! write root's files, but cannot pass over another user's permissions, load modules, trace, mount,
//! leave its namespaces, or open a socket to anywhere.

mod calls;
mod capabilities;
mod files;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::fmt;

pub use capabilities::Capability;
pub use files::Landlock;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The capabilities that stay, also for the programs that are run.
    pub keep: &'a [Capability],
    /// How many descriptors may be open (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// How soon the kernel ends it when memory is short: -1000 (never) to 1000 (`oom_score_adj`, proc(5)).
    pub oom_score: i16,
}

/// Why nothing more is given up; the process must end then, as some of it is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfineError {
    /// There are other threads, which would keep what this one gives up.
    #[error("cannot give up privileges: the process has {0} threads already")]
    Threads(usize),
    /// The system refused.
    #[error("cannot {asked}: {source}")]
    Refused {
        /// What was asked.
        asked: &'static str,
        /// The system's reason.
        source: Errno,
    },
    /// A filter could not be made or applied.
    #[error("cannot {asked}: {reason}")]
    Filter {
        /// What was asked.
        asked: &'static str,
        /// The reason.
        reason: String,
    },
}

/// What was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The capabilities that are left.
    pub kept: Vec<Capability>,
    /// How far the file system is closed.
    pub landlock: Landlock,
    /// How many system calls are left.
    pub calls: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: Vec<_> = self.kept.iter().map(|kept| kept.name()).collect();
        write!(
            f,
            "confined: capabilities {}; no new privileges; {} system calls; landlock {}",
            if kept.is_empty() {
                "none".to_owned()
            } else {
                kept.join(", ")
            },
            self.calls,
            self.landlock
        )
    }
}

/// Confines the whole process. To be called once, after sockets are bound and programs are found, before
/// the first thread is started.
///
/// # Errors
/// [`ConfineError::Threads`] before anything was given up; otherwise something was, and the process must
/// end.
pub fn process(plan: &Plan<'_>) -> Result<Report, ConfineError> {
    alone()?;
    whole_process(plan)?;
    thread(plan)
}

/// What belongs to the process and not to a thread.
fn whole_process(plan: &Plan<'_>) -> Result<(), ConfineError> {
    // No core file with what clients sent, and no tracing by another process of the same user.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(refused("become undumpable"))?;
    for (resource, most) in [(Resource::Core, 0), (Resource::Nofile, plan.open_files)] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit).map_err(refused("limit resources"))?;
    }
    std::fs::write("/proc/self/oom_score_adj", plan.oom_score.to_string()).map_err(|error| {
        ConfineError::Filter {
            asked: "set the score for when memory is short",
            reason: error.to_string(),
        }
    })
}

/// Confines the calling thread, the threads that it starts and the programs that it runs, and nothing
/// else: [`process`] is for processes, this is for their tests.
pub fn thread(plan: &Plan<'_>) -> Result<Report, ConfineError> {
    capabilities::keep_only(plan.keep)?;
    rustix::thread::set_no_new_privs(true).map_err(refused("refuse new privileges"))?;
    let landlock = files::close()?;
    let calls = calls::filter()?;
    Ok(Report {
        kept: plan.keep.to_vec(),
        landlock,
        calls,
    })
}

fn refused(asked: &'static str) -> impl Fn(Errno) -> ConfineError {
    move |source| ConfineError::Refused { asked, source }
}

/// Capabilities and filters are a thread's: with another one there would be a way round all of this.
fn alone() -> Result<(), ConfineError> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(|error| ConfineError::Filter {
        asked: "count the threads",
        reason: error.to_string(),
    })?;
    match threads.count() {
        1 => Ok(()),
        more => Err(ConfineError::Threads(more)),
    }
}

/// It changes the whole test process, which nextest makes for it alone; for the others under cargo's own
/// runner it is no loss.
#[cfg(test)]
mod t2 {
    use super::*;

    #[test]
    fn the_process_cannot_be_traced_and_its_limits_are_those_of_the_plan() {
        let plan = Plan {
            keep: &[],
            open_files: 200,
            oom_score: 321,
        };
        whole_process(&plan).expect("done");
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).expect(name);
        let limits = read("limits");
        let limit = |name: &str| {
            let line = limits
                .lines()
                .find(|line| line.starts_with(name))
                .expect(name);
            line.replace(name, "")
                .split_whitespace()
                .map(str::to_owned)
                .take(2)
                .collect::<Vec<_>>()
        };
        assert_eq!(limit("Max open files"), ["200", "200"]);
        assert_eq!(limit("Max core file size"), ["0", "0"]);
        assert_eq!(read("oom_score_adj").trim(), "321");
        let dumpable = rustix::process::dumpable_behavior();
        assert_eq!(dumpable, Ok(DumpableBehavior::NotDumpable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_is_left() {
        let report = |kept: &[Capability], landlock| {
            let kept = kept.to_vec();
            Report {
                kept,
                landlock,
                calls: 133,
            }
            .to_string()
        };
        assert_eq!(
            report(&[Capability::NetAdmin, Capability::NetRaw], Landlock::Full),
            "confined: capabilities CAP_NET_ADMIN, CAP_NET_RAW; no new privileges; 133 system calls; landlock in full"
        );
        assert!(report(&[], Landlock::Partial).contains("capabilities none; "));
        assert!(report(&[], Landlock::Absent).ends_with("absent (the kernel has none)"));
    }
}
